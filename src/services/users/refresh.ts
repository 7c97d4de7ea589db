import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import type { Tx } from '../../storage/engine/database.ts'
import type { DeviceKey, RefreshTokenRow } from '../../storage/schema/users.ts'
import { deleteLoginTokensOfDevice } from '../../storage/users/login-tokens.ts'
import {
  confirmRefreshToken,
  findRefreshTokenFamily,
  lockRefreshToken,
  oldestGenerationInUse,
  RETIREMENT_MS,
  retireAllTokens,
  retireUnusedSuccessors,
} from '../../storage/users/refresh-tokens.ts'
import { findUser } from '../../storage/users/users.ts'
import { issueTokens, type TokenPair } from './device-login.ts'
import { familyOf, hashToken } from './tokens.ts'

type Capabilities = Pick<App, 'database' | 'random' | 'clock' | 'config' | 'logger'>
type Outcome = { issued: TokenPair } | { refused: MatrixError; revoked?: DeviceKey }

/**
 * Issues new tokens for a refresh token. The old pair stays valid until a new token is used, so that a client can retry
 * after a lost response. Reuse after that means that the token was stolen: all tokens of its device are revoked. Throws
 * 401 M_UNKNOWN_TOKEN, M_USER_LOCKED.
 * https://spec.matrix.org/v1.19/client-server-api/#refreshing-access-tokens
 */
export async function refreshTokens(app: Capabilities, refreshToken: string): Promise<TokenPair> {
  const outcome = await app.database.write((tx) => attempt(app, tx, refreshToken))
  if ('issued' in outcome) return outcome.issued
  // Logged after the commit that ended the session.
  if (outcome.revoked) app.logger.warn({ ...outcome.revoked }, 'refresh token reused, all tokens of device revoked')
  throw outcome.refused
}

async function attempt(app: Capabilities, tx: Tx, refreshToken: string): Promise<Outcome> {
  const now = app.clock.now()
  const tokenHash = hashToken(refreshToken)
  const token = await lockRefreshToken(tx, tokenHash)
  if (!token) return refuseUnknown(tx, refreshToken, now)
  const device = { userId: token.user_id, deviceId: token.device_id }
  if (token.retired_ts !== null) return refuseRetired(tx, token, now)
  const user = await findUser(tx, token.user_id)
  if (!user || user.deactivated_ts !== null) return { refused: unknownToken(false) }
  if (user.locked) {
    return { refused: new MatrixError(401, 'M_USER_LOCKED', 'This account has been locked', { soft_logout: true }) }
  }
  if (token.replaces !== null) await confirmRefreshToken(tx, tokenHash, now)
  await retireUnusedSuccessors(tx, tokenHash, now)
  const replaces = { tokenHash, family: familyOf(refreshToken)!, generation: token.generation }
  return { issued: await issueTokens(app, tx, { ...device, refreshable: true, replaces }) }
}

/** A token of a living family was issued once and has long been replaced: its use revokes the family. */
async function refuseUnknown(tx: Tx, refreshToken: string, now: number): Promise<Outcome> {
  const family = familyOf(refreshToken)
  const device = family && (await findRefreshTokenFamily(tx, hashToken(family)))
  return device ? revoke(tx, device, now) : { refused: unknownToken(false) }
}

/**
 * A late request revokes nothing: a duplicate, or a request of another process of the client that does not know the new
 * token yet. Such requests have the token before the newest.
 */
async function refuseRetired(tx: Tx, token: RefreshTokenRow, now: number): Promise<Outcome> {
  const device = { userId: token.user_id, deviceId: token.device_id }
  const inUse = (await oldestGenerationInUse(tx, device)) ?? token.generation
  const isLate = now - token.retired_ts! <= RETIREMENT_MS && inUse - token.generation <= 1
  return isLate ? { refused: unknownToken(true) } : revoke(tx, device, now)
}

async function revoke(tx: Tx, device: DeviceKey, now: number): Promise<Outcome> {
  const isFirst = await retireAllTokens(tx, device, now)
  await deleteLoginTokensOfDevice(tx, device)
  return { refused: unknownToken(true), ...(isFirst && { revoked: device }) }
}

/** `softLogout`: the device exists, and the client can log in to it again without losing its keys. */
function unknownToken(softLogout: boolean): MatrixError {
  const message = softLogout ? 'The refresh token has been used before. Log in again.' : 'Unknown refresh token'
  return new MatrixError(401, 'M_UNKNOWN_TOKEN', message, { soft_logout: softLogout })
}
