import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import {
  deleteWebSession,
  findWebSession as loadWebSession,
  touchWebSession,
  type WebSessionHolder,
} from '../../storage/sign-in/web-sessions.ts'
import { ExpiredAccountError, isExpiredAccount } from '../users/account-validity.ts'
import type { MailLanguage } from '../users/mail/compose-mail.ts'
import { noteUse } from '../users/note-use.ts'
import { lacksSecondFactor } from '../users/second-factor-policy.ts'
import { hashToken } from '../users/tokens.ts'

/** Somebody who is signed in on the pages of this server in one browser. */
export type WebSession = {
  userId: UserId
  /** The hash of the browser's cookie. */
  sessionId: string
  isAdmin: boolean
  isLocked: boolean
  isExpired: boolean
  isSuspended: boolean
  /** When the user last proved who they are, in milliseconds since 1970. */
  authenticatedTs: number
  /** The session at an identity provider by which the user signed in. */
  upstreamSessionNid: number | null
}

/** The session of a browser's cookie; at most one is set. */
export type KnownBrowser = {
  session: WebSession | undefined
  /** The session of a user who lacks a second factor that the policy requires, good for nothing but its set-up. */
  restricted: WebSession | undefined
  /** The user of a sign-in whose second step is missing. */
  pendingUserId: UserId | undefined
}

/** A browser. `cookie`: the secret that it sent, or that it gets with this answer. */
export type Browser = {
  cookie: string
  ip: string
  userAgent: string | undefined
  /** The language of its pages. */
  language?: MailLanguage
}

const COOKIE_LENGTH = 40
/** How long a sign-in counts as recent, for pages on which an account could be taken over. */
const RECENT_MS = 15 * 60_000

/** Generates the secret of a browser's cookie. */
export function newCookie(app: Pick<App, 'random'>): string {
  return app.random.token(COOKIE_LENGTH)
}

/** Finds the session of a browser, and updates when it was last used. */
export async function recognizeBrowser(
  app: Pick<App, 'database' | 'clock' | 'config' | 'logger'>,
  browser: Browser,
): Promise<KnownBrowser> {
  const now = app.clock.now()
  const holder = await loadWebSession(app.database, { cookieHash: hashToken(browser.cookie), now })
  if (!holder) return { session: undefined, restricted: undefined, pendingUserId: undefined }
  if (holder.user_id !== null) noteLastSeen(app, holder, { ...browser, now })
  const session = sessionOf(app, holder)
  const isRestricted = session !== undefined && (await lacksSecondFactor(app, session))
  return {
    session: isRestricted ? undefined : session,
    restricted: isRestricted ? session : undefined,
    pendingUserId: holder.pending_user_id ?? undefined,
  }
}

function sessionOf(app: Pick<App, 'config' | 'clock'>, holder: WebSessionHolder): WebSession | undefined {
  if (holder.user_id === null) return undefined
  return {
    userId: holder.user_id,
    sessionId: holder.cookie_hash,
    isAdmin: holder.is_admin,
    isLocked: holder.locked,
    isExpired: isExpiredAccount(app, holder),
    isSuspended: holder.suspended,
    authenticatedTs: holder.authenticated_ts,
    upstreamSessionNid: holder.upstream_session_nid,
  }
}

function noteLastSeen(
  app: Pick<App, 'database' | 'config' | 'logger'>,
  { cookie_hash: cookieHash, last_seen_ts: lastTs }: WebSessionHolder,
  { ip, userAgent, now }: Browser & { now: number },
): void {
  const expiresTs = now + app.config.sessions.web_session_lifetime
  noteUse(app, 'browser', { lastTs, now }, (tx, at) =>
    touchWebSession(tx, cookieHash, { ip, userAgent, expiresTs, ...at }),
  )
}

/** Whether the account of a browser may be used. */
export function isUsableSession({ isExpired, isLocked }: WebSession): boolean {
  return !isExpired && !isLocked
}

/** Throws ExpiredAccountError, and 403 M_USER_LOCKED. */
export function requireUsableAccount({ isExpired, isLocked }: WebSession): void {
  if (isExpired) throw new ExpiredAccountError()
  if (isLocked) throw new MatrixError(403, 'M_USER_LOCKED', 'This account has been locked')
}

/** Whether the user has proved recently who they are. */
export function isRecent(app: Pick<App, 'clock'>, { authenticatedTs }: WebSession): boolean {
  return app.clock.now() - authenticatedTs <= RECENT_MS
}

/** Signs a browser out. */
export async function endWebSession(app: Pick<App, 'database'>, { cookie }: Pick<Browser, 'cookie'>): Promise<void> {
  await app.database.write((tx) => deleteWebSession(tx, hashToken(cookie)))
}
