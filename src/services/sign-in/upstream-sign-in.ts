import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { UpstreamError, type UpstreamFault, type UpstreamProvider } from '../../infra/sign-in/upstream-provider.ts'
import type { Tx } from '../../storage/engine/database.ts'
import type { UpstreamRequestRow } from '../../storage/schema/upstream.ts'
import { findLinkedUser } from '../../storage/sign-in/upstream-links.ts'
import {
  findUpstreamRequest,
  insertUpstreamRequest,
  markUpstreamAnswered,
  storeUpstreamIdentity,
  takeUpstreamIdentity,
} from '../../storage/sign-in/upstream-requests.ts'
import { holdBrowser } from '../users/hold-browser.ts'
import { hashToken } from '../users/tokens.ts'
import { finishFirstStep, type StepTaken } from './sign-in-steps.ts'
import { createLinkedAccount, linkPerson, planAccount } from './upstream-accounts.ts'
import { parsePerson, personOf, type UpstreamPerson } from './upstream-person.ts'
import type { Browser } from './web-sessions.ts'

/**
 * Why a sign-in at a provider failed, beside what the provider did.
 * - `expired`: it is unknown, or took too long.
 * - `other browser`: it began in another browser.
 * - `used`: the provider's answer was used before.
 * - `linked elsewhere`: it was to link an account that signs in another user.
 * - `other user`: the user who began to link is no longer signed in.
 */
export type UpstreamReason = UpstreamFault | 'expired' | 'other browser' | 'used' | 'linked elsewhere' | 'other user'

/**
 * The result of a provider's answer; `on`: the purpose of the sign-in.
 * - `ask`: no account is linked yet; the person decides on the page for this `state`.
 */
export type UpstreamResult =
  | { kind: 'signed in'; step: StepTaken; on: string | undefined }
  | { kind: 'linked'; on: string | undefined }
  | { kind: 'ask'; state: string }
  | { kind: 'failed'; reason: UpstreamReason; on: string | undefined }

type Capabilities = Pick<
  App,
  'config' | 'serverName' | 'database' | 'clock' | 'random' | 'logger' | 'passwordHasher' | 'mailer' | 'spamChecks'
>

const SECRET_LENGTH = 40
/** The verifier has to have 43 characters at least: https://www.rfc-editor.org/rfc/rfc7636#section-4.1 */
const VERIFIER_LENGTH = 64
/** Long enough to create an account at the provider. */
const LIFETIME_MS = 30 * 60_000

/**
 * Begins a sign-in at a provider, and returns the provider's page. `linkTo`: the signed-in user who wants to link an
 * account. `isAgain`: a signed-in user proves again who they are. Throws UpstreamError.
 */
export async function startUpstream(
  app: Capabilities,
  browser: Browser,
  {
    provider,
    on,
    linkTo,
    isAgain,
  }: { provider: UpstreamProvider; on: string | undefined; linkTo: UserId | undefined; isAgain: boolean },
): Promise<string> {
  const state = app.random.token(SECRET_LENGTH)
  const nonce = app.random.token(SECRET_LENGTH)
  const codeVerifier = app.random.token(VERIFIER_LENGTH)
  const now = app.clock.now()
  const againSinceTs = isAgain ? now : null
  const sent = { callback: callbackOf(app, provider), state, nonce, codeVerifier, againSinceTs }
  const url = await provider.authorizationUrl(sent)
  const request = {
    state_hash: hashToken(state),
    provider_id: provider.config.id,
    browser_hash: hashToken(browser.cookie),
    nonce,
    code_verifier: codeVerifier,
    continue_path: on ?? null,
    link_to: linkTo ?? null,
    again_since_ts: againSinceTs,
    expires_ts: now + LIFETIME_MS,
  }
  await app.database.write((tx) => insertUpstreamRequest(tx, request, now))
  return url
}

/** Returns the address to which a provider sends the browser back; operators register it there. */
function callbackOf({ config }: Pick<App, 'config'>, provider: UpstreamProvider): string {
  return `${config.public_base_url}/upstream/${provider.config.id}/callback`
}

/**
 * Takes a provider's answer, the query of the callback, once: signs in, links, or finds out what to ask. `userId`: who
 * is signed in. Throws M_USER_LOCKED, and M_FORBIDDEN for a deactivated account.
 */
export async function answerUpstream(
  app: Capabilities,
  browser: Browser,
  { provider, answer, userId }: { provider: UpstreamProvider; answer: URLSearchParams; userId: UserId | undefined },
): Promise<UpstreamResult> {
  const state = answer.get('state') ?? ''
  const request = await findRequest(app, browser, { provider, state })
  if (typeof request === 'string') return { kind: 'failed', reason: request, on: undefined }
  const on = request.continue_path ?? undefined
  if (request.identity !== null) return { kind: 'ask', state }
  const isFirst = await app.database.write((tx) => markUpstreamAnswered(tx, request.state_hash))
  if (!isFirst) return { kind: 'failed', reason: 'used', on }
  try {
    const { nonce, code_verifier: codeVerifier, again_since_ts: againSinceTs } = request
    const sent = { callback: callbackOf(app, provider), state, nonce, codeVerifier, againSinceTs }
    const person = personOf(provider.config, await provider.identify(sent, answer))
    return await settle(app, browser, { provider, request, state, person, userId })
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error
    noteFault(app, provider, error)
    return { kind: 'failed', reason: error.fault, on }
  }
}

/** Logs why a sign-in at a provider failed, unless the person cancelled it. */
export function noteFault({ logger }: Pick<App, 'logger'>, { config }: UpstreamProvider, error: UpstreamError): void {
  if (error.fault === 'denied') return
  logger.warn({ err: error, identity_provider: config.id, fault: error.fault }, 'sign-in at identity provider failed')
}

type Answered = {
  provider: UpstreamProvider
  request: UpstreamRequestRow
  state: string
  person: UpstreamPerson
  userId: UserId | undefined
}

async function settle(app: Capabilities, browser: Browser, answered: Answered): Promise<UpstreamResult> {
  const { provider, request, person } = answered
  const { config } = provider
  const on = request.continue_path ?? undefined
  const linked = await findLinkedUser(app.database, { providerId: config.id, subject: person.subject })
  if (request.link_to !== null) {
    if (request.link_to !== answered.userId) return { kind: 'failed', reason: 'other user', on }
    if (linked === request.link_to) return { kind: 'linked', on }
    return linked === undefined ? ask(app, answered) : { kind: 'failed', reason: 'linked elsewhere', on }
  }
  if (linked !== undefined) return signIn(app, browser, { answered, userId: linked })
  const plan = await planAccount(app, config, person)
  if (plan.kind === 'link') {
    const { userId } = plan
    const link = (tx: Tx) => linkPerson(app, tx, { config, person, userId })
    return signIn(app, browser, { answered, userId, alsoWrite: link })
  }
  if (plan.kind !== 'create') return ask(app, answered)
  const account = { person, localpart: plan.localpart, hasAcceptedTerms: false }
  return signIn(app, browser, { answered, userId: await createLinkedAccount(app, config, account), isNew: true })
}

async function ask(app: Capabilities, { request, state, person }: Answered): Promise<UpstreamResult> {
  await app.database.write((tx) => storeUpstreamIdentity(tx, request.state_hash, JSON.stringify(person)))
  return { kind: 'ask', state }
}

async function signIn(
  app: Capabilities,
  browser: Browser,
  {
    answered: { provider, person, request },
    userId,
    isNew = false,
    alsoWrite,
  }: {
    answered: Pick<Answered, 'provider' | 'person' | 'request'>
    userId: UserId
    isNew?: boolean
    alsoWrite?: (tx: Tx) => Promise<void>
  },
): Promise<UpstreamResult & { kind: 'signed in' }> {
  const upstream = { providerId: provider.config.id, subject: person.subject, sid: person.sid }
  const by = isNew ? 'registration' : 'upstream'
  const step = await finishFirstStep(app, browser, { userId, by, upstream }, alsoWrite)
  return { kind: 'signed in', step, on: request.continue_path ?? undefined }
}

/** A person at a provider who has no account here yet, and decides on it in this browser. */
export type UnlinkedPerson = { request: UpstreamRequestRow; person: UpstreamPerson; on: string | undefined }

/** Finds the person of a sign-in that waits for a decision. */
export async function findUnlinkedPerson(
  app: Capabilities,
  browser: Browser,
  { provider, state }: { provider: UpstreamProvider; state: string },
): Promise<UnlinkedPerson | UpstreamReason> {
  const request = await findRequest(app, browser, { provider, state })
  if (typeof request === 'string') return request
  if (request.identity === null) return 'used'
  return { request, person: parsePerson(request.identity), on: request.continue_path ?? undefined }
}

/**
 * Creates the account of a person with a chosen name, and signs the browser in. Throws M_INVALID_USERNAME,
 * M_USER_IN_USE, M_EXCLUSIVE, and M_FORBIDDEN if another request has done so.
 */
export async function registerPerson(
  app: Capabilities,
  browser: Browser,
  { provider, unlinked, localpart }: { provider: UpstreamProvider; unlinked: UnlinkedPerson; localpart: string },
): Promise<UpstreamResult & { kind: 'signed in' }> {
  const { person, request } = unlinked
  const userId = await createLinkedAccount(app, provider.config, {
    person,
    localpart,
    hasAcceptedTerms: true,
    alsoWrite: (tx) => takePerson(tx, request),
  })
  return signIn(app, browser, { answered: { provider, person, request }, userId, isNew: true })
}

/**
 * Links a person to the user who is signed in in this browser. Throws M_FORBIDDEN if another request has done so, and
 * M_SIGN_IN_ENDED if the browser was signed out or the account deactivated.
 */
export async function linkToUser(
  app: Capabilities,
  { provider, unlinked, userId }: { provider: UpstreamProvider; unlinked: UnlinkedPerson; userId: UserId },
): Promise<void> {
  await app.database.write(async (tx) => {
    await holdBrowser(tx, { userId, sessionId: unlinked.request.browser_hash })
    await takePerson(tx, unlinked.request)
    await linkPerson(app, tx, { config: provider.config, person: unlinked.person, userId })
  })
}

async function takePerson(tx: Tx, { state_hash }: UpstreamRequestRow): Promise<void> {
  if (await takeUpstreamIdentity(tx, state_hash)) return
  throw new MatrixError(403, 'M_FORBIDDEN', 'This sign-in was completed already')
}

async function findRequest(
  app: Capabilities,
  browser: Browser,
  { provider, state }: { provider: UpstreamProvider; state: string },
): Promise<UpstreamRequestRow | 'expired' | 'other browser'> {
  const request = await findUpstreamRequest(app.database, hashToken(state), app.clock.now())
  if (request?.provider_id !== provider.config.id) return 'expired'
  return request.browser_hash === hashToken(browser.cookie) ? request : 'other browser'
}
