import type { App } from '../../app.ts'
import { MatrixError, NotFoundError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import type { EmailAddress } from '../../core/text/email-address.ts'
import { compileGlob } from '../../core/text/glob.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { enqueueJob } from '../../storage/jobs/jobs.ts'
import type { ThreepidSessionRow } from '../../storage/schema/third-party-ids.ts'
import {
  findLinkedSession,
  findThreepidOwner,
  findThreepidSession,
  storeThreepidSession,
  type Threepid,
  takeThreepidSession,
} from '../../storage/users/threepids.ts'
import { composeMail, type MailLanguage, SEND_MAIL } from './mail/compose-mail.ts'
import { type ProofPurpose, proofLetter, refusalLetter } from './mail/email-proof-texts.ts'
import { hashToken } from './tokens.ts'

export type ProofRequest = {
  purpose: ProofPurpose
  address: EmailAddress
  /** The user who sends the request, if logged in: only that user can then add the address. */
  userId?: UserId | undefined
  clientSecret: string
  sendAttempt: number
  nextLink: string | undefined
  /** The language of the mail; default: English. */
  language?: MailLanguage | undefined
  /** The path of the page behind the link; default: the page that confirms the address. */
  pathOf?: (link: ProofLink) => string
}

/** The parts of the link in a mail. */
export type ProofLink = { sessionId: string; token: string }

/** The credentials with which a client refers to a verified address. */
export type ThreepidCredentials = { sid: string; client_secret: string }

/** The verification of an address: the address, the purpose, and the account, if known. */
export type EmailProof = Pick<ThreepidSessionRow, 'session_id' | 'address' | 'next_link'> & {
  purpose: ProofPurpose
  userId: UserId | undefined
}

type Capabilities = Pick<
  App,
  'config' | 'database' | 'clock' | 'random' | 'mailer' | 'serverName' | 'rateLimiter' | 'jobs'
>

/** Under `/_matrix`, which proxies forward. */
export const CONFIRM_PATH = '/_matrix/client/unstable/hearth/confirm_email'
const LIFETIME_MS = 60 * 60_000
const TOKEN_LENGTH = 32
const SESSION_ID_LENGTH = 24

/**
 * Mails a verification link, once per `sendAttempt`, and returns the session ID with which the client can use the
 * verified address. An address that cannot be used gets a mail that says so, and the client the same response, as the
 * specification recommends. Throws M_THREEPID_DENIED without mail and for a domain that the operator does not allow, M_LIMIT_EXCEEDED, and M_THREEPID_IN_USE for an
 * address that the user already has.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3registeremailrequesttoken
 */
export async function requestEmailProof(app: Capabilities, request: ProofRequest): Promise<string> {
  if (!app.mailer) throw new MatrixError(403, 'M_THREEPID_DENIED', 'This server does not use email addresses')
  const { purpose, address, clientSecret: client_secret, sendAttempt: send_attempt } = request
  if (purpose !== 'password') requireAllowedDomain(app, address)
  await app.rateLimiter.take('login', address)
  const owner = await findThreepidOwner(app.database, { medium: 'email', address })
  if (owner !== undefined && owner === request.userId)
    throw new MatrixError(400, 'M_THREEPID_IN_USE', 'Your account has this e-mail address already')
  const userId = purpose === 'password' ? owner : request.userId
  const key = { purpose, medium: 'email', address, client_secret, user_id: userId ?? ('' as const) }
  const now = app.clock.now()
  const known = await findThreepidSession(app.database, key, now)
  if (known && known.send_attempt >= send_attempt) return known.session_id

  const session_id = known?.session_id ?? app.random.token(SESSION_ID_LENGTH)
  const token = app.random.token(TOKEN_LENGTH)
  const more = { token_hash: hashToken(token), next_link: request.nextLink ?? null, expires_ts: now + LIFETIME_MS }
  const isUsable = (owner !== undefined) === (purpose === 'password')
  const language = request.language ?? 'en'
  const { serverName } = app
  const path = (request.pathOf ?? confirmPathOf)({ sessionId: session_id, token })
  const link = app.config.public_base_url + path
  const letter = isUsable
    ? proofLetter(language, purpose, { serverName, userId, link })
    : refusalLetter(language, purpose, { serverName, userId: owner })
  const id = `confirm.${session_id}.${app.random.token(8)}`
  const mail = composeMail(app, { to: address, language, letter, id })
  const job = await app.database.write(async (tx) => {
    await storeThreepidSession(tx, { ...key, ...more, session_id, send_attempt }, now)
    return enqueueJob(tx, { kind: SEND_MAIL, key: session_id, payload: mail, now })
  })
  app.jobs.begin(job)
  return session_id
}

function confirmPathOf({ sessionId, token }: ProofLink): string {
  return `${CONFIRM_PATH}/${sessionId}/${token}`
}

function requireAllowedDomain({ config }: Pick<App, 'config'>, address: EmailAddress): void {
  const { allowed_domains: allowed, blocked_domains: blocked } = config.email
  const domain = address.slice(address.lastIndexOf('@') + 1)
  const matches = (pattern: string) => compileGlob(pattern)(domain)
  if ((allowed.length === 0 || allowed.some(matches)) && !blocked.some(matches)) return
  throw new MatrixError(403, 'M_THREEPID_DENIED', `This server does not accept addresses at ${domain}`)
}

/** Finds the pending verification of an address by the client secret of a request without login. */
export function findProofSession(
  app: Pick<App, 'database' | 'clock'>,
  { purpose, address, clientSecret }: Pick<ProofRequest, 'purpose' | 'address' | 'clientSecret'>,
): Promise<ThreepidSessionRow | undefined> {
  const key = { purpose, medium: 'email', address, client_secret: clientSecret, user_id: '' as const }
  return findThreepidSession(app.database, key, app.clock.now())
}

/** Finds the session of a verification link. Throws M_NOT_FOUND for an unknown or expired link. */
export async function findEmailProof(
  app: Pick<App, 'database' | 'clock'>,
  { sessionId, token }: { sessionId: string; token: string },
): Promise<EmailProof> {
  const now = app.clock.now()
  const session = await findLinkedSession(app.database, { sessionId, tokenHash: hashToken(token), now })
  if (!session) throw new NotFoundError('This link is invalid or has expired')
  return proofOf(session)
}

/** Consumes a verification. Returns undefined if the link was not opened, or the secret or the purpose differs. */
export async function takeEmailProof(
  tx: Tx,
  { credentials, purpose, now }: { credentials: ThreepidCredentials; purpose: ProofPurpose; now: number },
): Promise<{ threepid: Threepid & { validated_ts: number }; userId: UserId | undefined } | undefined> {
  const { sid: sessionId, client_secret: clientSecret } = credentials
  const taken = await takeThreepidSession(tx, { sessionId, clientSecret, purpose, now })
  if (!taken) return undefined
  const { user_id, ...threepid } = taken
  return { threepid, userId: user_id || undefined }
}

function proofOf({ session_id, address, next_link, purpose, user_id }: ThreepidSessionRow): EmailProof {
  return { session_id, address, next_link, purpose: purpose as ProofPurpose, userId: user_id || undefined }
}
