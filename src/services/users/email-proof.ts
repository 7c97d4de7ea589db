import type { App } from '../../app.ts'
import { InvalidParamError, MatrixError, NotFoundError } from '../../core/errors.ts'
import { html } from '../../core/html.ts'
import type { Mail } from '../../infra/mailer.ts'
import { enqueueJob } from '../../storage/jobs.ts'
import type { ThreepidSessionRow } from '../../storage/notices-and-mail-schema.ts'
import {
  findLinkedSession,
  findThreepidOwner,
  findThreepidSession,
  markThreepidValidated,
  storeThreepidSession,
} from '../../storage/threepids.ts'
import { emailAddress } from './email-address.ts'
import { hashToken } from './tokens.ts'

/** What an address is to be proven for: to add it to an account, to register with it, to set a new password. */
export type ProofPurpose = 'add' | 'register' | 'password'

export type ProofRequest = {
  purpose: ProofPurpose
  email: string
  clientSecret: string
  sendAttempt: number
  nextLink: string | undefined
}

type Capabilities = Pick<App, 'config' | 'database' | 'clock' | 'random' | 'mailer' | 'serverName'>

/** The job of sending a mail. */
export const SEND_MAIL = 'send_mail'
/** Below `/_matrix`, which proxies pass on. */
export const CONFIRM_PATH = '/_matrix/client/unstable/hearth/confirm_email'
const LIFETIME_MS = 60 * 60_000
const TOKEN_LENGTH = 32
const SESSION_ID_LENGTH = 24

/**
 * Mails a link that proves who follows it to have the address, once for each `sendAttempt`; returns the session by which the client can show the proof. Throws M_THREEPID_DENIED
 * where Hearth sends no mail, M_INVALID_PARAM for what is no address, M_THREEPID_IN_USE, and M_THREEPID_NOT_FOUND for a new password.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3registeremailrequesttoken
 */
export async function requestEmailProof(app: Capabilities, request: ProofRequest): Promise<string> {
  if (!app.mailer) throw new MatrixError(403, 'M_THREEPID_DENIED', 'This server does not use email addresses')
  const address = emailAddress(request.email)
  if (address === undefined) throw new InvalidParamError('email: is not an e-mail address')
  await requirePurpose(app, request.purpose, address)
  const { purpose, clientSecret: client_secret, sendAttempt: send_attempt } = request
  const key = { purpose, medium: 'email', address, client_secret }
  const now = app.clock.now()
  const known = await findThreepidSession(app.database, key, now)
  if (known && known.send_attempt >= send_attempt) return known.session_id

  const session_id = known?.session_id ?? app.random.token(SESSION_ID_LENGTH)
  const token = app.random.token(TOKEN_LENGTH)
  const more = { token_hash: hashToken(token), next_link: request.nextLink ?? null, expires_ts: now + LIFETIME_MS }
  const mail = confirmationMail(app, { address, sessionId: session_id, token })
  await app.database.write(async (tx) => {
    await storeThreepidSession(tx, { ...key, ...more, session_id, send_attempt }, now)
    await enqueueJob(tx, { kind: SEND_MAIL, key: session_id, payload: mail, now })
  })
  return session_id
}

async function requirePurpose(app: Capabilities, purpose: ProofPurpose, address: string): Promise<void> {
  const owner = await findThreepidOwner(app.database, { medium: 'email', address })
  if (purpose === 'password' && owner === undefined)
    throw new MatrixError(400, 'M_THREEPID_NOT_FOUND', 'No account has this e-mail address')
  if (purpose !== 'password' && owner !== undefined)
    throw new MatrixError(400, 'M_THREEPID_IN_USE', 'This e-mail address belongs to an account')
}

function confirmationMail(
  { config, serverName, random }: Capabilities,
  { address, sessionId, token }: { address: string; sessionId: string; token: string },
): Mail & { headers: Record<string, string> } {
  const link = `${config.public_base_url}${CONFIRM_PATH}/${sessionId}/${token}`
  const why = `Somebody, most likely you, gave this address to ${serverName}. If it was you, follow the link within an hour and confirm it.`
  return {
    to: address,
    subject: `Confirm your address for ${serverName}`,
    text: `${why}\n\n${link}\n\nIf it was not you, do nothing.\n`,
    html: html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Confirm your address</title></head><body>
<p>${why}</p>
<p><a href="${link}">Confirm the address</a></p>
<p>If it was not you, do nothing.</p>
</body></html>
`.text,
    headers: {},
    messageId: `<confirm.${sessionId}.${random.token(8)}@${serverName.replace(/:\d+$/, '')}>`,
  }
}

/** The proof that a link from a mail is of. Throws M_NOT_FOUND when it has expired or there is none. */
export async function findEmailProof(
  app: Capabilities,
  { sessionId, token }: { sessionId: string; token: string },
): Promise<ThreepidSessionRow> {
  const now = app.clock.now()
  const session = await findLinkedSession(app.database, { sessionId, tokenHash: hashToken(token), now })
  if (!session) throw new NotFoundError('This link is not valid, or not any more')
  return session
}

/** Notes that the link was followed. Throws M_NOT_FOUND. */
export async function confirmEmail(
  app: Capabilities,
  link: { sessionId: string; token: string },
): Promise<ThreepidSessionRow> {
  const session = await findEmailProof(app, link)
  await app.database.write((tx) => markThreepidValidated(tx, session.session_id, app.clock.now()))
  return session
}
