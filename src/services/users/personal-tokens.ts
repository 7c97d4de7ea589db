import type { App } from '../../app.ts'
import { ForbiddenError, InvalidParamError, MatrixError, NotFoundError } from '../../core/errors.ts'
import { type DeviceId, isStorableName, type UserId } from '../../core/ids.ts'
import { permitsAdmin, permitsApi, permitsMasAdmin } from '../../core/oauth-scope.ts'
import { deleteDevices } from '../../storage/devices/devices.ts'
import type { Tx } from '../../storage/engine/database.ts'
import type { UserRow } from '../../storage/schema/users.ts'
import { deleteAccessToken } from '../../storage/users/access-tokens.ts'
import {
  deleteExpiredPersonalTokens,
  findPersonalToken,
  hasOtherSession,
  insertPersonalToken,
  loadPersonalTokens,
  type PersonalToken,
  replacePersonalSecret,
} from '../../storage/users/personal-tokens.ts'
import { findUser, lockUser } from '../../storage/users/users.ts'
import { type DeviceLoginCapabilities, type SignInOrigin, takeDevice } from './device-login.ts'
import type { SignedInBy } from './hold-browser.ts'
import { type ClientSession, holdSession } from './hold-session.ts'
import { enqueueNotice } from './mail/account-notices.ts'
import { hashToken, newToken } from './tokens.ts'

/** The rights that a personal token can have; all but the first are for administrators only. */
export const PERSONAL_TOKEN_SCOPES = ['urn:matrix:client:api:*', 'urn:synapse:admin:*', 'urn:mas:admin'] as const

export const MAX_TOKEN_NAME = 255

export type PersonalTokenRequest = {
  userId: UserId
  /** Tells the tokens of the user apart. */
  name: string
  /** Of PERSONAL_TOKEN_SCOPES, separated by blanks; Synapse's admin API needs the client API too. */
  scope: string
  /** Absent: as long as the policy permits, or without an end. */
  lifetimeMs?: number | undefined
  /** For a bot that encrypts: a new device, or that of an older personal token, which it replaces. */
  deviceId?: DeviceId | undefined
  /** Where the request comes from; the user is notified by mail. */
  from?: SignInOrigin | undefined
  /** The session that sends the request: no token is created once it has ended. */
  by?: SignedInBy | ClientSession | undefined
}

/** A new personal token with its secret, which is known only now. */
export type NewPersonalToken = PersonalToken & { access_token: string }

export const TOKEN_ID_LENGTH = 12
/** How long an expired token is listed. */
const EXPIRED_MS = 30 * 24 * 60 * 60_000

/**
 * Creates an access token for a bot or a script, which its user can revoke. `byOperator`: personal tokens may be
 * disabled, and have no longest lifetime. Throws M_FORBIDDEN, M_INVALID_PARAM, M_NOT_FOUND, M_LIMIT_EXCEEDED, and as holdSession.
 */
export async function createPersonalToken(
  app: DeviceLoginCapabilities & Pick<App, 'database'>,
  request: PersonalTokenRequest,
  { byOperator = false }: { byOperator?: boolean } = {},
): Promise<NewPersonalToken> {
  const name = request.name.trim()
  if (name === '' || name.length > MAX_TOKEN_NAME || name.includes('\0'))
    throw new InvalidParamError(`name: must have 1 to ${MAX_TOKEN_NAME} characters`)
  const { userId, deviceId = null } = request
  const scope = parseScope(request.scope)
  const created_ts = app.clock.now()
  const expires_ts = expiryOf(app, request, { now: created_ts, byOperator })
  if (deviceId !== null && !isStorableName(deviceId)) throw new InvalidParamError('device_id: is too long')
  const secret = newToken(app, 'personal')
  const row = { user_id: userId, name, created_ts, device_id: deviceId, scope, expires_ts }
  const token_id = app.random.token(TOKEN_ID_LENGTH)
  await app.database.write(async (tx) => {
    if (request.by) await holdSession(tx, request.by)
    else await lockUser(tx, userId)
    requireRight(await findUser(tx, userId), request)
    await deleteExpiredPersonalTokens(tx, userId, created_ts - EXPIRED_MS)
    if (deviceId !== null) await prepareDevice(app, tx, { userId, deviceId, name })
    await requireRoom(app, tx, userId)
    await insertPersonalToken(tx, { ...row, token_id, token_hash: hashToken(secret) })
    if (request.from) await noteCreation(app, tx, request, request.from)
  })
  return { ...row, token_id, last_used_ts: 0, access_token: secret }
}

/** Revokes a personal token, with its device if it has one. `userId`: its owner. Throws M_NOT_FOUND. */
export async function revokePersonalToken(
  app: Pick<App, 'database'>,
  { tokenId, userId }: { tokenId: string; userId?: UserId },
): Promise<void> {
  await app.database.write(async (tx) => {
    const token = isStorableName(tokenId) ? await findPersonalToken(tx, tokenId) : undefined
    if (!token || (userId !== undefined && token.user_id !== userId))
      throw new NotFoundError('There is no such personal token')
    await lockUser(tx, token.user_id)
    if (token.device_id === null) await deleteAccessToken(tx, token.token_hash)
    else await deleteDevices(tx, token.user_id, { only: [token.device_id] })
  })
}

/**
 * Gives a personal token a new secret and a new end; the old secret ends, and the user is notified by mail. Returns the
 * new secret. Throws M_NOT_FOUND, and M_INVALID_PARAM for a lifetime that is too long.
 */
export async function renewPersonalToken(
  app: DeviceLoginCapabilities & Pick<App, 'database'>,
  { tokenId, lifetimeMs, from }: { tokenId: string; lifetimeMs: number | undefined; from: SignInOrigin },
): Promise<string> {
  const expiresTs = expiryOf(app, { lifetimeMs }, { now: app.clock.now(), byOperator: true })
  const secret = newToken(app, 'personal')
  await app.database.write(async (tx) => {
    const found = await findPersonalToken(tx, tokenId)
    if (found) await lockUser(tx, found.user_id)
    const token = await findPersonalToken(tx, tokenId)
    if (!token) throw new NotFoundError('There is no such personal token')
    await replacePersonalSecret(tx, { tokenId, tokenHash: token.token_hash, newHash: hashToken(secret), expiresTs })
    await noteCreation(app, tx, { userId: token.user_id, name: token.name }, from)
  })
  return secret
}

function parseScope(text: string): string {
  const parts = text.split(' ').filter((part) => part !== '')
  // The rights to the client API have two names.
  const wanted = new Set<string>(parts.map((part) => (permitsApi(part) ? PERSONAL_TOKEN_SCOPES[0] : part)))
  const scope = PERSONAL_TOKEN_SCOPES.filter((known) => wanted.delete(known)).join(' ')
  const [unknown] = wanted
  if (unknown !== undefined)
    throw new InvalidParamError(`scope: ${unknown} is none of ${PERSONAL_TOKEN_SCOPES.join(', ')}`)
  if (!permitsApi(scope) && !(permitsMasAdmin(scope) && !permitsAdmin(scope)))
    throw new InvalidParamError(`scope: ${PERSONAL_TOKEN_SCOPES[0]} is needed`)
  return scope
}

function expiryOf(
  { config }: Pick<App, 'config'>,
  { lifetimeMs }: Pick<PersonalTokenRequest, 'lifetimeMs'>,
  { now, byOperator }: { now: number; byOperator: boolean },
): number | null {
  const longest = byOperator ? undefined : config.personal_tokens.max_lifetime
  const lifetime = lifetimeMs ?? longest
  if (lifetime === undefined) return null
  if (lifetime <= 0) throw new InvalidParamError('A personal token has to be valid for some time')
  if (longest !== undefined && lifetime > longest)
    throw new InvalidParamError(`A personal token is valid for ${longest} ms at most (personal_tokens.max_lifetime)`)
  const expiry = now + lifetime
  if (!Number.isSafeInteger(expiry)) throw new InvalidParamError('This lifetime is too long')
  return expiry
}

function requireRight(user: UserRow | undefined, { userId, scope }: PersonalTokenRequest): void {
  if (!user || user.deactivated_ts !== null) throw new NotFoundError(`There is no account ${userId}`)
  if (user.is_guest) throw new MatrixError(403, 'M_GUEST_ACCESS_FORBIDDEN', 'Guests have no personal tokens')
  if ((permitsAdmin(scope) || permitsMasAdmin(scope)) && !user.is_admin)
    throw new ForbiddenError(`${userId} is not an administrator`)
}

async function requireRoom({ config }: Pick<App, 'config'>, tx: Tx, userId: UserId): Promise<void> {
  const most = config.limits.counts.personal_tokens
  if ((await loadPersonalTokens(tx, userId)).length < most) return
  const message = `An account has at most ${most} personal tokens (limits.counts.personal_tokens). Revoke one first.`
  throw new MatrixError(400, 'M_LIMIT_EXCEEDED', message)
}

/** A bot keeps its device, and so its keys, from one personal token to the next. Sessions of people keep theirs. */
async function prepareDevice(
  app: DeviceLoginCapabilities,
  tx: Tx,
  { userId, deviceId, name }: { userId: UserId; deviceId: DeviceId; name: string },
): Promise<void> {
  if (await hasOtherSession(tx, userId, deviceId)) throw new InvalidParamError('device_id: belongs to another session')
  await takeDevice(app, tx, { userId, deviceId, displayName: name })
}

async function noteCreation(
  app: DeviceLoginCapabilities,
  tx: Tx,
  { userId, name }: Pick<PersonalTokenRequest, 'userId' | 'name'>,
  { ip, userAgent }: SignInOrigin,
): Promise<void> {
  await enqueueNotice(app, tx, { userId, notice: { kind: 'sign_in', device: name, client: userAgent, address: ip } })
}
