import { createHash } from 'node:crypto'
import type { App } from '../../app.ts'
import type { UserId } from '../../core/ids.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { findCodeUser, lockOAuthCode, markCodeExchanged } from '../../storage/oauth/oauth-requests.ts'
import { findOAuthSession } from '../../storage/oauth/oauth-sessions.ts'
import type { OAuthRequestRow } from '../../storage/schema/oauth.ts'
import { lockUser } from '../../storage/users/users.ts'
import type { DeviceLoginCapabilities, SignInOrigin } from '../users/device-login.ts'
import { hashToken } from '../users/tokens.ts'
import { endOAuthSession } from './end-oauth-session.ts'
import { clientLabel, findClient, type OAuthClient } from './oauth-clients.ts'
import { OAuthError } from './oauth-error.ts'
import { type OpenedSession, openOAuthSession } from './open-oauth-session.ts'

/** A client's request to exchange a code: https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3 */
export type CodeExchange = {
  clientId: string
  code: string
  redirectUri: string
  codeVerifier: string
  from: SignInOrigin
}

/** A new session, and what an ID token says about its sign-in. */
export type ExchangedCode = OpenedSession & { userId: UserId; nonce: string | null; authenticatedTs: number }

type Outcome = ExchangedCode | { refused: string; revoked: boolean }

/** How long a used code is remembered. */
const REMEMBERED_MS = 60 * 60_000

/**
 * Opens the session that a user has consented to. A code that comes again ends the session that it opened. Throws
 * `invalid_client`, `invalid_grant`.
 */
export async function exchangeCode(
  app: DeviceLoginCapabilities & Pick<App, 'database'>,
  exchange: CodeExchange,
): Promise<ExchangedCode> {
  const client = await findClient(app, exchange.clientId)
  const outcome = await app.database.write((tx) => attempt(app, tx, { client, exchange }))
  if (!('refused' in outcome)) return outcome
  if (outcome.revoked) app.logger.warn({ client_id: client.clientId }, 'authorization code reused, session ended')
  throw new OAuthError('invalid_grant', outcome.refused)
}

async function attempt(
  app: DeviceLoginCapabilities,
  tx: Tx,
  { client, exchange }: { client: OAuthClient; exchange: CodeExchange },
): Promise<Outcome> {
  const codeHash = hashToken(exchange.code)
  // The user first, as for the end of all sessions, which deletes the request.
  const holder = await findCodeUser(tx, codeHash)
  if (holder) await lockUser(tx, holder)
  const request = await lockOAuthCode(tx, codeHash)
  if (!request || !isOf(request, exchange))
    return { refused: 'The code is unknown, or belongs to another request', revoked: false }
  if (request.exchanged_ts !== null) {
    const session = request.session_nid === null ? undefined : await findOAuthSession(tx, request.session_nid)
    if (session) await endOAuthSession(tx, session)
    return { refused: 'The code has been used before', revoked: session !== undefined }
  }
  const now = app.clock.now()
  if (request.expires_ts <= now) return { refused: 'The code has expired', revoked: false }
  const userId = request.user_id!
  const opened = await openOAuthSession(app, tx, {
    userId,
    clientId: client.clientId,
    scope: request.granted_scope!,
    deviceName: clientLabel(client).name,
    upstreamSessionNid: request.upstream_session_nid,
    // A sign-in in the browser for this request has sent its own notice.
    from: request.authenticated_ts! < request.created_ts ? exchange.from : undefined,
  })
  const requestId = request.request_id
  await markCodeExchanged(tx, { requestId, sessionNid: opened.sessionNid, now, keptUntil: now + REMEMBERED_MS })
  return { ...opened, userId, nonce: request.nonce, authenticatedTs: request.authenticated_ts! }
}

function isOf(request: OAuthRequestRow, { clientId, redirectUri, codeVerifier }: CodeExchange): boolean {
  const challenge = createHash('sha256').update(codeVerifier).digest('base64url')
  return request.client_id === clientId && request.redirect_uri === redirectUri && request.code_challenge === challenge
}
