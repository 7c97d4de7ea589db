import type { App } from '../../app.ts'
import type { UserId } from '../../core/ids.ts'
import { deleteWebSessionOf, deleteWebSessions, loadWebSessions } from '../../storage/sign-in/web-sessions.ts'
import { lockUser } from '../../storage/users/users.ts'
import { endPreparations } from '../users/log-out.ts'
import { hashToken } from '../users/tokens.ts'
import type { Browser } from './web-sessions.ts'

/** A browser in which a user is signed in. Times are in milliseconds since 1970. */
export type SignedInBrowser = {
  /** The hash of its cookie, with which nobody can use the session. */
  id: string
  isThis: boolean
  createdTs: number
  lastSeenTs: number
  lastSeenIp: string | null
  userAgent: string | null
}

/** Lists the browsers in which a user is signed in, the last used first. */
export async function listBrowsers(
  app: Pick<App, 'database' | 'clock'>,
  userId: UserId,
  { cookie }: Pick<Browser, 'cookie'>,
): Promise<SignedInBrowser[]> {
  const own = hashToken(cookie)
  const sessions = await loadWebSessions(app.database, userId, app.clock.now())
  return sessions.map((session) => ({
    id: session.cookie_hash,
    isThis: session.cookie_hash === own,
    createdTs: session.created_ts,
    lastSeenTs: session.last_seen_ts,
    lastSeenIp: session.last_seen_ip,
    userAgent: session.last_seen_user_agent,
  }))
}

/** Signs one browser of a user out, if it is signed in. Unused codes and links of all browsers of the user end too. */
export async function signOutBrowser(app: Pick<App, 'database'>, userId: UserId, id: string): Promise<void> {
  await app.database.write(async (tx) => {
    await lockUser(tx, userId)
    await endPreparations(tx, userId)
    await deleteWebSessionOf(tx, userId, id)
  })
}

/** Signs all browsers of a user out except one, and ends what they have prepared. */
export async function signOutOtherBrowsers(
  app: Pick<App, 'database'>,
  userId: UserId,
  { cookie }: Pick<Browser, 'cookie'>,
): Promise<void> {
  await app.database.write(async (tx) => {
    await lockUser(tx, userId)
    await endPreparations(tx, userId)
    await deleteWebSessions(tx, userId, hashToken(cookie))
  })
}
