import type { App } from '../../app.ts'
import type { DeviceId, UserId } from '../../core/ids.ts'
import type { Tx } from '../../storage/engine/database.ts'
import type { DeviceKey } from '../../storage/schema/users.ts'
import { insertAccessToken } from '../../storage/users/access-tokens.ts'
import { type HeldRefreshToken, insertRefreshToken } from '../../storage/users/refresh-tokens.ts'
import { deriveTokens, familyOf, hashToken, newRefreshToken, newToken } from './tokens.ts'

/** The tokens in responses of `/login`, `/register` and `/refresh`. */
export type TokenPair = { access_token: string; refresh_token?: string; expires_in_ms?: number }

/** A token pair whose access token expires. */
export type RefreshableTokens = Required<TokenPair>

/** A session to issue tokens for. `oauth` null: a login, whose tokens permit everything that the user may do. */
export type TokenSession = {
  userId: UserId
  deviceId: DeviceId | null
  oauth: { sessionNid: number; scope: string } | null
}

/** The predecessor of a refresh token; null: it is the first of its session. */
type Predecessor = { tokenHash: string; generation: number } | null

type Capabilities = Pick<App, 'random' | 'clock' | 'config'>

/** Length of the random text from which the successors of a refresh token are derived. */
export const SALT_LENGTH = 40

/** Issues an access token that is valid until the device logs out. */
export async function issueLastingToken(
  app: Pick<App, 'random'>,
  tx: Tx,
  { userId, deviceId }: DeviceKey,
): Promise<TokenPair> {
  const token = newToken(app, 'access')
  const owner = { user_id: userId, device_id: deviceId, scope: null }
  await insertAccessToken(tx, { ...owner, token_hash: hashToken(token), expires_ts: null, refresh_token_hash: null })
  return { access_token: token }
}

/** Issues the first tokens of a session. */
export function issueTokenPair(app: Capabilities, tx: Tx, session: TokenSession): Promise<RefreshableTokens> {
  const tokens = { accessToken: newToken(app, 'access'), refreshToken: newRefreshToken(app) }
  return storePair(app, tx, { session, tokens, replaces: null })
}

/**
 * Issues the tokens that replace a refresh token, which the caller has locked and compared with its hash. Before one of
 * them is used, every call returns the same.
 */
export function replaceTokens(
  app: Capabilities,
  tx: Tx,
  { refreshToken, held }: { refreshToken: string; held: HeldRefreshToken },
): Promise<RefreshableTokens> {
  const oauth = held.oauth_session_nid === null ? null : { sessionNid: held.oauth_session_nid, scope: held.scope ?? '' }
  return storePair(app, tx, {
    session: { userId: held.user_id, deviceId: held.device_id, oauth },
    tokens: deriveTokens(refreshToken, held.salt),
    replaces: { tokenHash: held.token_hash, generation: held.generation },
  })
}

async function storePair(
  app: Capabilities,
  tx: Tx,
  {
    session: { userId, deviceId, oauth },
    tokens: { accessToken, refreshToken },
    replaces,
  }: { session: TokenSession; tokens: { accessToken: string; refreshToken: string }; replaces: Predecessor },
): Promise<RefreshableTokens> {
  const owner = { user_id: userId, device_id: deviceId }
  const refreshHash = hashToken(refreshToken)
  const lifetime = app.config.sessions.access_token_lifetime
  await insertRefreshToken(tx, {
    ...owner,
    token_hash: refreshHash,
    oauth_session_nid: oauth?.sessionNid ?? null,
    salt: app.random.token(SALT_LENGTH),
    replaces: replaces?.tokenHash ?? null,
    family_hash: hashToken(familyOf(refreshToken)!),
    generation: replaces ? replaces.generation + 1 : 0,
  })
  await insertAccessToken(tx, {
    ...owner,
    token_hash: hashToken(accessToken),
    scope: oauth?.scope ?? null,
    expires_ts: app.clock.now() + lifetime,
    refresh_token_hash: refreshHash,
  })
  return { access_token: accessToken, refresh_token: refreshToken, expires_in_ms: lifetime }
}
