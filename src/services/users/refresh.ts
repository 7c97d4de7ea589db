import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { deleteOAuthSession } from '../../storage/oauth/oauth-sessions.ts'
import { deleteLoginTokensOfDevice } from '../../storage/users/login-tokens.ts'
import {
  adoptRefreshToken,
  confirmRefreshToken,
  findRefreshTokenFamily,
  type HeldRefreshToken,
  lockRefreshToken,
  oldestGenerationInUse,
  RETIREMENT_MS,
  type RefreshTokenFamily,
  retireAllTokens,
} from '../../storage/users/refresh-tokens.ts'
import { findUser } from '../../storage/users/users.ts'
import { type RefreshableTokens, replaceTokens, SALT_LENGTH } from './issue-tokens.ts'
import { familyOf, hashToken } from './tokens.ts'

type Capabilities = Pick<App, 'database' | 'random' | 'clock' | 'config' | 'logger'>

/** A client's refresh token. `clientId`: the OAuth client that sends it; null: a client that logged in by `/login`. */
export type RefreshRequest = { refreshToken: string; clientId: string | null }

/** New tokens. `scope`: that of the OAuth session; null: a login. */
export type RefreshedTokens = RefreshableTokens & { scope: string | null }

type Outcome = { issued: RefreshedTokens } | { refused: MatrixError; revoked?: RefreshTokenFamily }

/**
 * Returns the tokens that replace a refresh token. Until one of them is used, a repeated or concurrent request returns
 * the same tokens, so that a client can retry after a lost response. Reuse after that means that the token was stolen:
 * all tokens of the session are revoked. Throws 401 M_UNKNOWN_TOKEN, also for the token of another client, and
 * M_USER_LOCKED for a login.
 * https://spec.matrix.org/v1.19/client-server-api/#refreshing-access-tokens
 */
export async function refreshTokens(app: Capabilities, request: RefreshRequest): Promise<RefreshedTokens> {
  const outcome = await app.database.write((tx) => attempt(app, tx, request))
  if ('issued' in outcome) return outcome.issued
  // Logged after the commit that ended the session.
  if (outcome.revoked) {
    const { userId, deviceId } = outcome.revoked
    app.logger.warn({ userId, deviceId }, 'refresh token reused, all tokens of session revoked')
  }
  throw outcome.refused
}

async function attempt(app: Capabilities, tx: Tx, { refreshToken, clientId }: RefreshRequest): Promise<Outcome> {
  const now = app.clock.now()
  const tokenHash = hashToken(refreshToken)
  const held = await lockRefreshToken(tx, tokenHash)
  if (!held) return replaceLost(app, tx, { refreshToken, clientId })
  if (held.client_id !== clientId) return { refused: unknownToken(false) }
  if (held.retired_ts !== null) return refuseRetired(tx, held, now)
  const user = await findUser(tx, held.user_id)
  if (!user || user.deactivated_ts !== null) return { refused: unknownToken(false) }
  // An OAuth client would take a refusal for the end of its session, so it keeps its tokens: they permit nothing.
  if (user.locked && clientId === null) {
    return { refused: new MatrixError(401, 'M_USER_LOCKED', 'This account has been locked', { soft_logout: true }) }
  }
  if (held.replaces !== null) await confirmRefreshToken(tx, tokenHash, now)
  return { issued: { ...(await replaceTokens(app, tx, { refreshToken, held })), scope: held.scope } }
}

/** A restored backup does not have the tokens that were issued after it: once, a session may continue with its own. */
async function replaceLost(app: Capabilities, tx: Tx, request: RefreshRequest): Promise<Outcome> {
  const tokenHash = hashToken(request.refreshToken)
  const secret = familyOf(request.refreshToken)
  const family = secret && (await findRefreshTokenFamily(tx, hashToken(secret)))
  if (family && family.clientId === request.clientId) {
    const { familyHash } = family
    await adoptRefreshToken(tx, { tokenHash, familyHash, salt: app.random.token(SALT_LENGTH) }, app.clock.now())
    // Adopted here, or by a concurrent request.
    if (await lockRefreshToken(tx, tokenHash)) return attempt(app, tx, request)
  }
  return refuseUnknown(tx, request, app.clock.now())
}

/** A token of a living family was issued once and has long been replaced: its use revokes the family. */
async function refuseUnknown(tx: Tx, { refreshToken, clientId }: RefreshRequest, now: number): Promise<Outcome> {
  const secret = familyOf(refreshToken)
  const family = secret && (await findRefreshTokenFamily(tx, hashToken(secret)))
  return family && family.clientId === clientId ? revoke(tx, family, now) : { refused: unknownToken(false) }
}

/**
 * A late request revokes nothing: a duplicate, or a request of another process of the client that does not know the new
 * token yet. Such requests have the token before the newest.
 */
async function refuseRetired(tx: Tx, held: HeldRefreshToken, now: number): Promise<Outcome> {
  const inUse = (await oldestGenerationInUse(tx, held.family_hash)) ?? held.generation
  const isLate = now - held.retired_ts! <= RETIREMENT_MS && inUse - held.generation <= 1
  if (isLate) return { refused: unknownToken(true) }
  return revoke(
    tx,
    {
      familyHash: held.family_hash,
      userId: held.user_id,
      deviceId: held.device_id,
      oauthSessionNid: held.oauth_session_nid,
      clientId: held.client_id,
    },
    now,
  )
}

/** The device stays, so that its user can log in to it again with its keys. */
async function revoke(tx: Tx, family: RefreshTokenFamily, now: number): Promise<Outcome> {
  const { userId, deviceId, oauthSessionNid } = family
  const isFirst = await retireAllTokens(tx, family.familyHash, now)
  if (deviceId !== null) await deleteLoginTokensOfDevice(tx, { userId, deviceId })
  else if (oauthSessionNid !== null) await deleteOAuthSession(tx, oauthSessionNid)
  return { refused: unknownToken(true), ...(isFirst && { revoked: family }) }
}

/** `softLogout`: the device exists, and the client can log in to it again without losing its keys. */
function unknownToken(softLogout: boolean): MatrixError {
  const message = softLogout ? 'The refresh token has been used before. Log in again.' : 'Unknown refresh token'
  return new MatrixError(401, 'M_UNKNOWN_TOKEN', message, { soft_logout: softLogout })
}
