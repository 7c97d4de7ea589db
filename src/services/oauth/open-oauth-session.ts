import type { UserId } from '../../core/ids.ts'
import { rightsOf, withoutAdmin } from '../../core/oauth-scope.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { deleteOldDevicelessSessions, insertOAuthSession } from '../../storage/oauth/oauth-sessions.ts'
import { findUser, lockUser } from '../../storage/users/users.ts'
import { isUsableAccount } from '../users/account-validity.ts'
import { type DeviceLoginCapabilities, noticeSignIn, type SignInOrigin, takeDevice } from '../users/device-login.ts'
import { issueTokenPair, type RefreshableTokens } from '../users/issue-tokens.ts'
import { OAuthError } from './oauth-error.ts'

/**
 * A session that a user has consented to. `deviceName`: the display name of its device, if that is new. `from`: where
 * the client is; undefined if the user has been notified of the sign-in already.
 */
export type ConsentedSession = {
  userId: UserId
  clientId: string
  scope: string
  deviceName: string
  from: SignInOrigin | undefined
  /** The session at an identity provider by which the user signed in; the device ends with it. */
  upstreamSessionNid?: number | null
}

/** The tokens of a new session, and the scope that they have. */
export type OpenedSession = RefreshableTokens & { scope: string; sessionNid: number }

/**
 * Opens a session of an OAuth client and issues its first tokens; an existing device of the user is taken over. Locks
 * the user. The scopes of administrators are left out for other users. Throws `invalid_grant` for a user who cannot
 * sign in any longer, `invalid_scope` if nothing is left of the scope, and M_INVALID_PARAM for the dehydrated device.
 */
export async function openOAuthSession(
  app: DeviceLoginCapabilities,
  tx: Tx,
  { userId, clientId, scope: consented, ...signIn }: ConsentedSession,
): Promise<OpenedSession> {
  await lockUser(tx, userId)
  const user = await findUser(tx, userId)
  if (!user || !isUsableAccount(app, user)) {
    throw new OAuthError('invalid_grant', 'The user cannot sign in')
  }
  const scope = user.is_admin ? consented : withoutAdmin(consented)
  const { api, admin, openid, deviceId } = rightsOf(scope)
  if (!api && !admin && !openid) throw new OAuthError('invalid_scope', 'The user may not grant any of this')
  const { deviceName, ...origin } = signIn
  if (deviceId !== undefined) await takeDevice(app, tx, { userId, deviceId, displayName: deviceName, ...origin })
  else await makeRoomForSession(app, tx, { userId, deviceName, from: origin.from })
  const session = { client_id: clientId, user_id: userId, device_id: deviceId ?? null, scope }
  const began = { created_ts: app.clock.now(), upstream_session_nid: origin.upstreamSessionNid ?? null }
  const sessionNid = await insertOAuthSession(tx, { ...session, ...began })
  const oauth = { sessionNid, scope }
  const tokens = await issueTokenPair(app, tx, { userId, deviceId: deviceId ?? null, oauth })
  return { ...tokens, scope, sessionNid }
}

/** A session without a device counts as one: the user is notified, and beyond the limit the oldest one ends. */
async function makeRoomForSession(
  app: DeviceLoginCapabilities,
  tx: Tx,
  { userId, deviceName, from }: Pick<ConsentedSession, 'userId' | 'deviceName' | 'from'>,
): Promise<void> {
  await deleteOldDevicelessSessions(tx, userId, { most: app.config.limits.counts.devices - 1 })
  if (from) await noticeSignIn(app, tx, { userId, from, device: deviceName })
}
