import type { App } from '../../app.ts'
import type { DeviceId, UserId } from '../../core/ids.ts'
import { findOAuthSession, loadOAuthSessionsOf } from '../../storage/oauth/oauth-sessions.ts'
import { endOAuthSession } from './end-oauth-session.ts'
import { type ClientMetadata, clientLabel } from './oauth-clients.ts'

/** A client with a session. `deviceId` null: it has none, such as an administration page. */
export type SignedInClient = {
  sessionNid: number
  deviceId: DeviceId | null
  name: string
  host: string
  createdTs: number
}

/** Lists the OAuth clients in which a user is signed in, the newest first. */
export async function listSignedInClients(app: Pick<App, 'database'>, userId: UserId): Promise<SignedInClient[]> {
  const sessions = await loadOAuthSessionsOf(app.database, userId)
  return sessions.map(({ session_nid, device_id, metadata, created_ts }) => ({
    sessionNid: session_nid,
    deviceId: device_id,
    ...clientLabel({ metadata: JSON.parse(metadata) as ClientMetadata }),
    createdTs: created_ts,
  }))
}

/** Signs a user out of a client, if that is a session of the user. */
export async function signOutClient(app: Pick<App, 'database'>, userId: UserId, sessionNid: number): Promise<void> {
  await app.database.write(async (tx) => {
    const session = await findOAuthSession(tx, sessionNid)
    if (session?.user_id === userId) await endOAuthSession(tx, session)
  })
}
