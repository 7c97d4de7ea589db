import type { App } from '../../app.ts'
import { deleteDevices } from '../../storage/devices/devices.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { deleteOAuthSession, findOAuthSessionOfToken } from '../../storage/oauth/oauth-sessions.ts'
import type { OAuthSessionRow } from '../../storage/schema/oauth.ts'
import { familyOf, hashToken } from '../users/tokens.ts'

/** Ends a session: deletes its device with all its tokens, or without one its tokens. */
export async function endOAuthSession(tx: Tx, session: OAuthSessionRow): Promise<void> {
  const { user_id: userId, device_id: deviceId } = session
  if (deviceId === null) await deleteOAuthSession(tx, session.session_nid)
  else await deleteDevices(tx, userId, { only: [deviceId] })
}

/**
 * Ends the session of an access or refresh token, also of one that was replaced. Does nothing for other tokens. A
 * client that revokes the token of another one has it, so that revoking it is safe.
 * https://spec.matrix.org/v1.19/client-server-api/#token-revocation
 */
export async function revokeToken({ database }: Pick<App, 'database'>, token: string): Promise<void> {
  const family = familyOf(token)
  const hashes = { tokenHash: hashToken(token), familyHash: family === undefined ? null : hashToken(family) }
  await database.write(async (tx) => {
    const session = await findOAuthSessionOfToken(tx, hashes)
    if (session) await endOAuthSession(tx, session)
  })
}
