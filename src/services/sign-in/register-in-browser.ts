import type { App } from '../../app.ts'
import { ForbiddenError, MatrixError } from '../../core/errors.ts'
import type { EmailAddress } from '../../core/text/email-address.ts'
import { findUiaSession } from '../../storage/users/uia-sessions.ts'
import { findProofSession, requestEmailProof } from '../users/email-proof.ts'
import type { MailLanguage } from '../users/mail/compose-mail.ts'
import { type PageRegistration, registerUser } from '../users/registration/register.ts'
import { registrationFlows } from '../users/registration/registration-flows.ts'
import { hashToken } from '../users/tokens.ts'
import { completeStage } from '../users/uia-fallback.ts'
import type { AuthData, UiaStageType } from '../users/uia-stages.ts'
import { finishFirstStep, type StepTaken } from './sign-in-steps.ts'
import type { Browser } from './web-sessions.ts'

/** What a new user has entered on the page. */
export type EnteredRegistration = {
  username: string
  password: string
  /** Absent: an account without an address. */
  email?: EmailAddress | undefined
  token: string
  acceptsTerms: boolean
  captcha: string
  language: MailLanguage
}

/** Signed in; or a mail was sent, and its link has to be opened before the session goes on. */
export type Registered = StepTaken | { mailSentIn: string }

type Capabilities = Parameters<typeof registerUser>[0] &
  Parameters<typeof requestEmailProof>[0] &
  Parameters<typeof finishFirstStep>[0]

const OPERATION = 'POST /register'
const SECRET_LENGTH = 32

/**
 * Registers an account in the browser, by the stages that clients use as well, and signs the browser in. With an e-mail
 * address the account is not made before the mailed link was opened. `nextPage`: where the page behind that link leads,
 * by the session. Throws as registerUser and the stages, M_TERMS_NOT_SIGNED, and M_THREEPID_DENIED.
 */
export async function registerInBrowser(
  app: Capabilities,
  browser: Browser,
  { entered, nextPage }: { entered: EnteredRegistration; nextPage: (sessionId: string) => string },
): Promise<Registered> {
  const { username, password, email, language } = entered
  const page: PageRegistration = {
    browser: hashToken(browser.cookie),
    language,
    ...(email !== undefined && { email, client_secret: app.random.token(SECRET_LENGTH) }),
  }
  const request = { username, password, inhibit_login: true, page }
  const sessionId = await registerUser(app, { request, auth: undefined, operation: OPERATION }).then(
    () => Promise.reject(new Error('a registration without any stage')),
    sessionOfRefusal,
  )
  for (const type of stagesOf(app)) await completeStage(app, { sessionId, type, auth: authOf(type, entered) })
  if (email === undefined) return perform(app, browser, { sessionId })
  await mailLink(app, { page, sessionId, nextPage, attempt: 1 })
  return { mailSentIn: sessionId }
}

/**
 * Makes the account of a session once the mailed link was opened. `username`: another name, if the first was taken in
 * the meantime. Throws M_UNAUTHORIZED if the link was not opened, M_FORBIDDEN in another browser, and as registerUser.
 */
export async function finishRegistration(
  app: Capabilities,
  browser: Browser,
  { sessionId, username }: { sessionId: string; username: string | undefined },
): Promise<StepTaken> {
  const page = await findPageRegistration(app, browser, sessionId)
  const { session_id: sid } = (await findProofSession(app, proofKey(page))) ?? { session_id: '' }
  const auth = { threepid_creds: { sid, client_secret: page.client_secret } }
  await completeStage(app, { sessionId, type: 'm.login.email.identity', auth })
  return perform(app, browser, { sessionId, ...(username !== undefined && { page, username }) })
}

/** Mails the link of a session again. Throws M_LIMIT_EXCEEDED, and M_FORBIDDEN in another browser. */
export async function mailLinkAgain(
  app: Capabilities,
  browser: Browser,
  { sessionId, nextPage }: { sessionId: string; nextPage: (sessionId: string) => string },
): Promise<void> {
  const page = await findPageRegistration(app, browser, sessionId)
  const { send_attempt: sent } = (await findProofSession(app, proofKey(page))) ?? { send_attempt: 0 }
  await mailLink(app, { page, sessionId, nextPage, attempt: sent + 1 })
}

/** Returns the address to which a session's link was mailed. Throws M_FORBIDDEN in another browser, and M_NOT_FOUND. */
export async function findMailedAddress(
  app: Pick<App, 'database' | 'clock'>,
  browser: Browser,
  sessionId: string,
): Promise<string> {
  return (await findPageRegistration(app, browser, sessionId)).email
}

type WithEmail = PageRegistration & { email: EmailAddress; client_secret: string }

/** Only the browser that began a registration goes on with it: its session ID stands in addresses and mails. */
async function findPageRegistration(
  app: Pick<App, 'database' | 'clock'>,
  { cookie }: Browser,
  sessionId: string,
): Promise<WithEmail> {
  const session = await findUiaSession(app.database, sessionId, app.clock.now())
  const page = session?.body.page as PageRegistration | undefined
  if (page?.email === undefined)
    throw new MatrixError(404, 'M_NOT_FOUND', 'This registration is unknown or has expired')
  if (page.browser !== hashToken(cookie)) {
    throw new ForbiddenError('Go on in the browser in which you have begun the registration')
  }
  return page as WithEmail
}

function proofKey({ email, client_secret }: WithEmail): Parameters<typeof findProofSession>[1] {
  return { purpose: 'register', address: email, clientSecret: client_secret }
}

async function mailLink(
  app: Capabilities,
  {
    page,
    sessionId,
    nextPage,
    attempt,
  }: { page: PageRegistration; sessionId: string; nextPage: (sessionId: string) => string; attempt: number },
): Promise<void> {
  await requestEmailProof(app, {
    purpose: 'register',
    address: page.email!,
    clientSecret: page.client_secret!,
    sendAttempt: attempt,
    nextLink: app.config.public_base_url + nextPage(sessionId),
    language: page.language,
  })
}

async function perform(
  app: Capabilities,
  browser: Browser,
  { sessionId, page, username }: { sessionId: string; page?: PageRegistration; username?: string },
): Promise<StepTaken> {
  const request = page ? { username, inhibit_login: true, page } : {}
  const auth = { session: sessionId }
  const { user_id: userId } = await registerUser(app, { request, auth, operation: OPERATION })
  return finishFirstStep(app, browser, { userId, by: 'registration' })
}

/** Returns the stages without that of the address, the captcha last: a solution can be used only once. */
function stagesOf({ config }: Pick<App, 'config'>): UiaStageType[] {
  const stages = registrationFlows(config).flows[0]!.filter((stage) => stage !== 'm.login.email.identity')
  const isCaptcha = (stage: UiaStageType) => stage === 'm.login.recaptcha' || stage === 'hearth.captcha'
  return [...stages.filter((stage) => !isCaptcha(stage)), ...stages.filter(isCaptcha)]
}

function authOf(type: UiaStageType, { token, acceptsTerms, captcha }: EnteredRegistration): AuthData {
  if (type === 'm.login.terms' && !acceptsTerms)
    throw new MatrixError(403, 'M_TERMS_NOT_SIGNED', 'The terms of this server were not accepted')
  return { type, token, response: captcha }
}

/** Returns the session in the 401 of a registration that begins. */
function sessionOfRefusal(error: unknown): string {
  const session = error instanceof MatrixError && error.status === 401 ? error.extra.session : undefined
  if (typeof session === 'string') return session
  throw error
}
