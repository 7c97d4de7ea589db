import type { App } from '../../app.ts'
import { ForbiddenError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import type { Tx } from '../../storage/engine/database.ts'
import type { UserRow } from '../../storage/schema/users.ts'
import { moveUpstreamRequests } from '../../storage/sign-in/upstream-requests.ts'
import { insertUpstreamSession } from '../../storage/sign-in/upstream-sessions.ts'
import { insertWebSession, takePendingSession, takeWebSession } from '../../storage/sign-in/web-sessions.ts'
import { findUser, lockUser, updateLanguage } from '../../storage/users/users.ts'
import { ExpiredAccountError, mailRenewalLink, requireNotBarred } from '../users/account-validity.ts'
import { checkSignIn } from '../users/check-for-spam.ts'
import { checkPassword, type PasswordCapabilities } from '../users/check-password.ts'
import { signInNotice } from '../users/device-login.ts'
import { type AccountIdentifier, findAccount } from '../users/find-account.ts'
import { enqueueNotice, type NoticeCapabilities } from '../users/mail/account-notices.ts'
import { findSecondFactorNeed } from '../users/second-factor-policy.ts'
import { hashToken } from '../users/tokens.ts'
import { type Browser, newCookie } from './web-sessions.ts'

/** How a user has passed the first step of a sign-in. */
export type FirstStep = {
  userId: UserId
  by: 'password' | 'passkey' | 'upstream' | 'registration'
  /** The hash that the password was checked against: the sign-in fails if it has changed since. */
  passwordHash?: string | null
  /** The session at an identity provider. */
  upstream?: { providerId: string; subject: string; sid: string | undefined }
}

/**
 * The browser's new cookie, and what follows. 'second factor': the second step is missing. 'set up second factor': the
 * user is signed in, but the policy requires a second factor that the user lacks.
 */
export type StepTaken = { cookie: string; next: 'done' | 'second factor' | 'set up second factor' }

type Capabilities = Pick<App, 'database' | 'logger' | 'spamChecks'> & NoticeCapabilities

const PENDING_LIFETIME_MS = 15 * 60_000

/**
 * Passes the first step with a password. Throws M_USER_LOCKED, M_FORBIDDEN, also for unknown and deactivated accounts, so
 * that the answer reveals no account, and as checkPassword.
 */
export async function signInWithPassword(
  app: Capabilities & PasswordCapabilities,
  browser: Browser,
  { identifier, password }: { identifier: AccountIdentifier; password: string },
): Promise<StepTaken> {
  const account = await findAccount(app, identifier)
  const user = await checkPassword(app, account, password)
  if (!user || user.deactivated_ts !== null) throw new ForbiddenError('Invalid user name or password')
  return finishFirstStep(app, browser, { userId: user.user_id, by: 'password', passwordHash: user.password_hash })
}

/**
 * Signs a browser in after the first step, or lets it wait for the second. The browser gets a new cookie, so that a
 * cookie that somebody planted before stands for nobody. `alsoWrite` runs in the same transaction: whatever proves the
 * step is consumed there. Throws M_USER_LOCKED, ExpiredAccountError, and M_FORBIDDEN if the account was deactivated or its
 * password changed.
 */
export async function finishFirstStep(
  app: Capabilities,
  browser: Browser,
  step: FirstStep,
  alsoWrite: (tx: Tx) => Promise<void> = async () => {},
): Promise<StepTaken> {
  const { upstream } = step
  await checkSignIn(app, { userId: step.userId, from: browser, ...(upstream && { provider: upstream.providerId }) })
  const taken = app.database.write(async (tx) => {
    await lockUser(tx, step.userId)
    const user = requireUsable(app, await findUser(tx, step.userId), step)
    await alsoWrite(tx)
    const before = await takeWebSession(tx, hashToken(browser.cookie))
    const isExpected = before?.user_id === step.userId || step.by === 'registration'
    const next = await findNextStep(app, tx, { user, step })
    const upstreamSessionNid = await noteUpstreamSession(app, tx, step)
    return storeStep(app, tx, { browser, userId: step.userId, next, isExpected, upstreamSessionNid })
  })
  return taken.catch(async (error) => {
    if (error instanceof ExpiredAccountError) await mailRenewalLink(app, step.userId)
    throw error
  })
}

/**
 * Signs a browser in after the second step. `prove` consumes the proof; it throws if that is wrong. Throws M_FORBIDDEN
 * if the browser does not wait for this user's second step, and M_USER_LOCKED.
 */
export async function finishSecondStep(
  app: Capabilities,
  browser: Browser,
  { userId, prove }: { userId: UserId; prove: (tx: Tx) => Promise<void> },
): Promise<StepTaken> {
  return app.database.write(async (tx) => {
    await lockUser(tx, userId)
    requireUsable(app, await findUser(tx, userId), { userId })
    const pending = { cookieHash: hashToken(browser.cookie), userId, now: app.clock.now() }
    const waiting = await takePendingSession(tx, pending)
    if (!waiting) throw new ForbiddenError('Sign in again')
    await prove(tx)
    const { is_expected: isExpected, upstream_session_nid: upstreamSessionNid } = waiting
    return storeStep(app, tx, { browser, userId, next: 'done', isExpected, upstreamSessionNid })
  })
}

/** A passkey is both factors: the browser has it, and it has verified the user. */
async function findNextStep(
  app: Pick<App, 'config'>,
  tx: Tx,
  { user, step }: { user: UserRow; step: FirstStep },
): Promise<StepTaken['next']> {
  const need = step.by === 'passkey' ? 'none' : await findSecondFactorNeed(app, tx, user)
  if (need === 'prove') return 'second factor'
  return need === 'set up' ? 'set up second factor' : 'done'
}

type Step = {
  browser: Browser
  userId: UserId
  next: StepTaken['next']
  isExpected: boolean
  upstreamSessionNid: number | null
}

async function storeStep(app: Capabilities, tx: Tx, step: Step): Promise<StepTaken> {
  const { browser, userId, next, isExpected, upstreamSessionNid } = step
  const isComplete = next !== 'second factor'
  const cookie = newCookie(app)
  const now = app.clock.now()
  await insertWebSession(tx, {
    cookie_hash: hashToken(cookie),
    user_id: isComplete ? userId : null,
    pending_user_id: isComplete ? null : userId,
    authenticated_ts: now,
    created_ts: now,
    last_seen_ts: now,
    last_seen_ip: browser.ip,
    last_seen_user_agent: browser.userAgent ?? null,
    is_expected: isExpected,
    expires_ts: now + (isComplete ? app.config.sessions.web_session_lifetime : PENDING_LIFETIME_MS),
    upstream_session_nid: upstreamSessionNid,
  })
  await moveUpstreamRequests(tx, { from: hashToken(browser.cookie), to: hashToken(cookie) })
  if (isComplete) await noteSignIn(app, tx, step)
  return { cookie, next }
}

/** Remembers the language of mails to the user, who is notified of a sign-in in another browser than before. */
async function noteSignIn(
  app: Capabilities,
  tx: Tx,
  { browser, userId, isExpected }: { browser: Browser; userId: UserId; isExpected: boolean },
): Promise<void> {
  if (browser.language !== undefined) await updateLanguage(tx, userId, browser.language)
  if (!isExpected) await enqueueNotice(app, tx, { userId, notice: signInNotice(browser, undefined) })
}

async function noteUpstreamSession(
  app: Pick<App, 'clock'>,
  tx: Tx,
  { userId, upstream }: FirstStep,
): Promise<number | null> {
  if (!upstream) return null
  const { providerId, subject, sid } = upstream
  return insertUpstreamSession(tx, {
    provider_id: providerId,
    subject,
    sid: sid ?? null,
    user_id: userId,
    created_ts: app.clock.now(),
  })
}

function requireUsable(
  app: Pick<App, 'config' | 'clock'>,
  user: UserRow | undefined,
  { passwordHash }: Pick<FirstStep, 'userId' | 'passwordHash'>,
): UserRow {
  if (!user || user.deactivated_ts !== null) throw new ForbiddenError('This account does not exist any more')
  requireNotBarred(app, user)
  if (passwordHash !== undefined && user.password_hash !== passwordHash) {
    throw new ForbiddenError('The account has changed since it was checked')
  }
  return user
}
