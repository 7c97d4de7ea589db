import type { App } from '../../app.ts'
import { ForbiddenError, MatrixError } from '../../core/errors.ts'
import type { EmailAddress } from '../../core/text/email-address.ts'
import { parsePhoneNumber } from '../../infra/users/phone-number.ts'
import { findUiaSession } from '../../storage/users/uia-sessions.ts'
import { findProofSession, requestEmailProof } from '../users/email-proof.ts'
import type { MailLanguage } from '../users/mail/compose-mail.ts'
import { findPhoneSession, noPhoneNumber, requestPhoneProof, submitPhoneCode } from '../users/phone-proof.ts'
import { type PageRegistration, registerUser } from '../users/registration/register.ts'
import { registrationFlows } from '../users/registration/registration-flows.ts'
import { hashToken } from '../users/tokens.ts'
import { completeStage } from '../users/uia-fallback.ts'
import type { AuthData, UiaStageType } from '../users/uia-stages.ts'
import { finishFirstStep, type StepTaken } from './sign-in-steps.ts'
import type { Browser } from './web-sessions.ts'

/** The fields that a new user has filled in. */
export type EnteredRegistration = {
  username: string
  password: string
  /** Absent: an account without an address. */
  email?: EmailAddress | undefined
  /** As entered; only where the configuration requires one. */
  phone?: string | undefined
  token: string
  acceptsTerms: boolean
  captcha: string
  language: MailLanguage
}

/** Signed in; or a link was mailed, or a code sent, without which the session does not go on. */
export type Registered = StepTaken | { waitsIn: string }

/** The next step of a registration. */
export type PendingProofs = { email: string | undefined; phone: string | undefined }

/** Where the page behind the mailed link leads, by the session; and the network that asks for text messages. */
type Sending = { nextPage: (sessionId: string) => string; network: string }

type Capabilities = Parameters<typeof registerUser>[0] &
  Parameters<typeof requestEmailProof>[0] &
  Parameters<typeof requestPhoneProof>[0] &
  Parameters<typeof finishFirstStep>[0]

const OPERATION = 'POST /register'
const SECRET_LENGTH = 32

/**
 * Registers an account in the browser, by the stages that clients use as well, and signs the browser in. With an e-mail
 * address or a phone number the account is not made before that is verified. Throws as registerUser and the stages,
 * M_TERMS_NOT_SIGNED, M_THREEPID_DENIED, and M_INVALID_PARAM for a wrong number.
 */
export async function registerInBrowser(
  app: Capabilities,
  browser: Browser,
  { entered, ...sending }: { entered: EnteredRegistration } & Sending,
): Promise<Registered> {
  const { username, password, email, language } = entered
  const phone = entered.phone === undefined ? undefined : await requirePhoneNumber(entered.phone)
  const isPending = email !== undefined || phone !== undefined
  const page: PageRegistration = {
    browser: hashToken(browser.cookie),
    language,
    ...(email !== undefined && { email }),
    ...(phone !== undefined && { phone }),
    ...(isPending && { client_secret: app.random.token(SECRET_LENGTH) }),
  }
  const request = { username, password, inhibit_login: true, page }
  const sessionId = await registerUser(app, { request, auth: undefined, operation: OPERATION }).then(
    () => Promise.reject(new Error('a registration without any stage')),
    sessionOfRefusal,
  )
  for (const type of stagesOf(app)) await completeStage(app, { sessionId, type, auth: authOf(type, entered) })
  if (!isPending) return perform(app, browser, { sessionId })
  await send(app, { page, sessionId, ...sending })
  return { waitsIn: sessionId }
}

/**
 * Makes the account of a session once the mailed link was opened, and with the code that was sent. `username`: another
 * name, if the first was taken in the meantime. Throws M_UNAUTHORIZED if the link was not opened, hearth.wrong_code
 * for a wrong code, M_FORBIDDEN in another browser, and as registerUser.
 */
export async function finishRegistration(
  app: Capabilities,
  browser: Browser,
  { sessionId, username, code }: { sessionId: string; username: string | undefined; code: string },
): Promise<StepTaken> {
  const { page, isPhoneVerified } = await findPageRegistration(app, browser, sessionId)
  const { email, phone, client_secret = '' } = page
  const complete = (type: UiaStageType, sid: string) =>
    completeStage(app, { sessionId, type, auth: { threepid_creds: { sid, client_secret } } })
  if (phone !== undefined && !isPhoneVerified) {
    const sid = (await findPhoneSession(app, { number: phone, clientSecret: client_secret }))?.session_id ?? ''
    if (!(await submitPhoneCode(app, { sid, client_secret }, code))) throw wrongCodeOfText()
    await complete('m.login.msisdn', sid)
  }
  if (email !== undefined)
    await complete('m.login.email.identity', (await findProofSession(app, proofKey(page)))?.session_id ?? '')
  return perform(app, browser, { sessionId, ...(username !== undefined && { page, username }) })
}

/** Sends link and code of a session again. Throws M_LIMIT_EXCEEDED, and M_FORBIDDEN in another browser. */
export async function sendProofsAgain(
  app: Capabilities,
  browser: Browser,
  { sessionId, ...sending }: { sessionId: string } & Sending,
): Promise<void> {
  const { page, isPhoneVerified } = await findPageRegistration(app, browser, sessionId)
  const { phone: _, ...withoutPhone } = page
  await send(app, { page: isPhoneVerified ? withoutPhone : page, sessionId, ...sending })
}

/** Returns what a session waits for. Throws M_FORBIDDEN in another browser, and M_NOT_FOUND. */
export async function findPendingProofs(
  app: Pick<App, 'database' | 'clock'>,
  browser: Browser,
  sessionId: string,
): Promise<PendingProofs> {
  const { page, isPhoneVerified } = await findPageRegistration(app, browser, sessionId)
  return { email: page.email, phone: isPhoneVerified ? undefined : page.phone }
}

/** Only the browser that began a registration goes on with it: its session ID stands in addresses and mails. */
async function findPageRegistration(
  app: Pick<App, 'database' | 'clock'>,
  { cookie }: Browser,
  sessionId: string,
): Promise<{ page: PageRegistration; isPhoneVerified: boolean }> {
  const session = await findUiaSession(app.database, sessionId, app.clock.now())
  const page = session?.body.page as PageRegistration | undefined
  if (!session || page?.client_secret === undefined)
    throw new MatrixError(404, 'M_NOT_FOUND', 'This registration is unknown or has expired')
  if (page.browser !== hashToken(cookie))
    throw new ForbiddenError('Go on in the browser in which you have begun the registration')
  return { page, isPhoneVerified: Object.hasOwn(session.completed, 'm.login.msisdn') }
}

async function requirePhoneNumber(text: string): Promise<string> {
  const number = await parsePhoneNumber(text, undefined)
  if (number) return `+${number.msisdn}`
  throw noPhoneNumber()
}

function wrongCodeOfText(): MatrixError {
  return new MatrixError(403, 'hearth.wrong_code', 'The code is wrong or has expired')
}

function proofKey({ email, client_secret }: PageRegistration): Parameters<typeof findProofSession>[1] {
  return { purpose: 'register', address: email!, clientSecret: client_secret! }
}

/** Sends the link and the code of a registration, again if they were sent before. */
async function send(
  app: Capabilities,
  { page, sessionId, nextPage, network }: { page: PageRegistration; sessionId: string } & Sending,
): Promise<void> {
  const { email, phone, language, client_secret: clientSecret = '' } = page
  const shared = { purpose: 'register', clientSecret, language } as const
  if (phone !== undefined) {
    const sent = await findPhoneSession(app, { number: phone, clientSecret })
    const sendAttempt = (sent?.send_attempt ?? 0) + 1
    await requestPhoneProof(app, { ...shared, number: phone, country: undefined, sendAttempt, network })
  }
  if (email !== undefined) {
    const sendAttempt = ((await findProofSession(app, proofKey(page)))?.send_attempt ?? 0) + 1
    const nextLink = app.config.public_base_url + nextPage(sessionId)
    await requestEmailProof(app, { ...shared, address: email, sendAttempt, nextLink })
  }
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
  const stages = registrationFlows(config).flows[0]!.filter(
    (stage) => stage !== 'm.login.email.identity' && stage !== 'm.login.msisdn',
  )
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
