import { z } from 'zod'
import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { type PhoneNumber, parsePhoneNumber } from '../../infra/users/phone-number.ts'
import { enqueueJob } from '../../storage/jobs/jobs.ts'
import type { ThreepidSessionRow } from '../../storage/schema/third-party-ids.ts'
import { findThreepidOwner, findThreepidSession, storeThreepidSession, tryCode } from '../../storage/users/threepids.ts'
import type { ThreepidCredentials } from './email-proof.ts'
import type { MailLanguage } from './mail/compose-mail.ts'
import type { ProofPurpose } from './mail/email-proof-texts.ts'
import { codeMessage, phoneRefusal } from './mail/phone-texts.ts'
import { hashToken } from './tokens.ts'

export type PhoneProofRequest = {
  purpose: ProofPurpose
  /** As the user entered it, and the country of its format. */
  number: string
  country: string | undefined
  /** The user who sends the request, if logged in: only that user can then add the number. */
  userId?: UserId | undefined
  clientSecret: string
  sendAttempt: number
  /** The key of the network that asks: text messages are limited by it and by their recipient. */
  network: string
  language?: MailLanguage | undefined
}

type Capabilities = Pick<App, 'config' | 'database' | 'clock' | 'random' | 'serverName' | 'rateLimiter' | 'jobs'>

/** The job that sends a text message. */
export const SEND_TEXT = 'send_text'

const textMessage = z.object({ to: z.string(), text: z.string(), expires_ts: z.int() })
const LIFETIME_MS = 10 * 60_000
const SESSION_ID_LENGTH = 24
const CODE_DIGITS = 6
const MOST_ATTEMPTS = 5
const GATEWAY_TIMEOUT_MS = 20_000

/** A number that this server cannot use. */
export class PhoneRefusedError extends MatrixError {}

/** Returns the error for a text that is no number. */
export function noPhoneNumber(): PhoneRefusedError {
  const message = 'This is not a phone number. Enter it with the country code, such as +49…'
  return new PhoneRefusedError(400, 'M_INVALID_PARAM', message)
}

/** Throws M_THREEPID_DENIED without a gateway for text messages. */
export function requirePhones({ config }: Pick<App, 'config'>): void {
  if (config.phone.gateway_url === undefined)
    throw new MatrixError(403, 'M_THREEPID_DENIED', 'This server does not use phone numbers')
}

/**
 * Sends a code to a phone number, once per `sendAttempt`, and returns the session ID for the code. A number that cannot
 * be used gets a message that says so, and the client the same response. Throws M_THREEPID_DENIED without a gateway and
 * for other countries, M_INVALID_PARAM, M_LIMIT_EXCEEDED, and M_THREEPID_IN_USE for a number that the user already has.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3registermsisdnrequesttoken
 */
export async function requestPhoneProof(
  app: Capabilities,
  request: PhoneProofRequest,
): Promise<{ sid: string; msisdn: string }> {
  requirePhones(app)
  const { purpose, clientSecret: client_secret, sendAttempt: send_attempt } = request
  const number = await parsePhoneNumber(request.number, request.country)
  if (!number) throw noPhoneNumber()
  requireAllowedCountry(app, number)
  const { msisdn: address } = number
  const owner = await findThreepidOwner(app.database, { medium: 'msisdn', address })
  if (owner !== undefined && owner === request.userId)
    throw new MatrixError(400, 'M_THREEPID_IN_USE', 'Your account has this phone number already')
  const userId = purpose === 'password' ? owner : request.userId
  const key = { purpose, medium: 'msisdn', address, client_secret, user_id: userId ?? ('' as const) }
  const now = app.clock.now()
  const known = await findThreepidSession(app.database, key, now)
  if (known && known.send_attempt >= send_attempt) return { sid: known.session_id, msisdn: address }

  await app.rateLimiter.take('text_message', request.network)
  await app.rateLimiter.take('text_message', address)
  const sid = known?.session_id ?? app.random.token(SESSION_ID_LENGTH)
  const code = newCode(app)
  const expires_ts = now + LIFETIME_MS
  const more = { token_hash: codeHash(sid, code), next_link: null, expires_ts }
  const isUsable = (owner !== undefined) === (purpose === 'password')
  const language = request.language ?? 'en'
  const name = app.config.branding.name ?? app.serverName
  const text = isUsable ? codeMessage(language, name, code) : phoneRefusal(language, purpose, name)
  const job = await app.database.write(async (tx) => {
    await storeThreepidSession(tx, { ...key, ...more, session_id: sid, send_attempt }, now)
    return enqueueJob(tx, { kind: SEND_TEXT, key: sid, payload: { to: `+${address}`, text, expires_ts }, now })
  })
  app.jobs.begin(job)
  return { sid, msisdn: address }
}

/** Finds the pending verification of a number (with +) by the client secret of a request without login. */
export function findPhoneSession(
  app: Pick<App, 'database' | 'clock'>,
  { number, clientSecret }: { number: string; clientSecret: string },
): Promise<ThreepidSessionRow | undefined> {
  const address = number.slice(1)
  const key = { purpose: 'register', medium: 'msisdn', address, client_secret: clientSecret, user_id: '' as const }
  return findThreepidSession(app.database, key, app.clock.now())
}

/**
 * Returns whether a code is that of a session, which verifies the number. After a few wrong codes none is right.
 * https://spec.matrix.org/v1.19/identity-service-api/#post_matrixidentityv2validatemsisdnsubmittoken
 */
export async function submitPhoneCode(
  app: Pick<App, 'database' | 'clock'>,
  { sid: sessionId, client_secret: clientSecret }: ThreepidCredentials,
  code: string,
): Promise<boolean> {
  const tokenHash = codeHash(sessionId, code.replace(/\D/g, ''))
  const now = app.clock.now()
  return app.database.write((tx) => tryCode(tx, { sessionId, clientSecret, tokenHash, most: MOST_ATTEMPTS, now }))
}

/** Sends a text message through the operator's gateway. Rejects if the gateway refuses it; too late it sends nothing. */
export async function sendTextMessage(
  app: Pick<App, 'config' | 'configuredHttp' | 'clock' | 'stopping' | 'logger'>,
  payload: unknown,
): Promise<void> {
  const { expires_ts, ...message } = textMessage.parse(payload)
  const { gateway_url: url, gateway_token: token } = app.config.phone
  if (url === undefined) throw new Error('there is no gateway for text messages any more')
  if (expires_ts <= app.clock.now()) {
    app.logger.error('text message dropped, because the gateway accepted it in no attempt')
    return
  }
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const options = { timeoutMs: GATEWAY_TIMEOUT_MS, signal: app.stopping, headers }
  const { status } = await app.configuredHttp.postJson(url, message, options)
  if (status < 200 || status > 299) throw new Error(`the gateway for text messages responded with ${status}`)
}

function requireAllowedCountry({ config }: Pick<App, 'config'>, { country }: PhoneNumber): void {
  const { allowed_countries: allowed } = config.phone
  if (allowed.length === 0 || (country !== undefined && allowed.includes(country))) return
  throw new PhoneRefusedError(403, 'M_THREEPID_DENIED', 'This server does not accept phone numbers of this country')
}

function newCode({ random }: Pick<App, 'random'>): string {
  const bytes = random.bytes(6)
  // 48 random bits: the remainder favours no code noticeably.
  return String(bytes.readUIntBE(0, 6) % 10 ** CODE_DIGITS).padStart(CODE_DIGITS, '0')
}

function codeHash(sessionId: string, code: string): string {
  return hashToken(`${sessionId} ${code}`)
}
