import type { App } from '../../app.ts'
import { storeOAuthConsent } from '../../storage/oauth/oauth-requests.ts'
import type { WebSession } from '../sign-in/web-sessions.ts'
import { holdBrowser } from '../users/hold-browser.ts'
import { hashToken, newToken } from '../users/tokens.ts'
import { type PendingAuthorization, replyLocation, signInEnded } from './authorization-requests.ts'

/** How long a client may take to exchange its code. */
const CODE_LIFETIME_MS = 10 * 60_000

/**
 * Consents to an authorization request for its user. Returns the redirect URI with the code. Throws M_SIGN_IN_ENDED if an
 * earlier code of the request was exchanged, or the browser was signed out.
 */
export async function issueCode(
  app: Pick<App, 'database' | 'clock' | 'random'>,
  { request }: PendingAuthorization,
  session: Pick<WebSession, 'userId' | 'sessionId' | 'authenticatedTs' | 'upstreamSessionNid'>,
): Promise<string> {
  const code = newToken(app, 'code')
  const isStored = await app.database.write(async (tx) => {
    await holdBrowser(tx, session)
    return storeOAuthConsent(tx, {
      request_id: request.request_id,
      user_id: session.userId,
      authenticated_ts: session.authenticatedTs,
      granted_scope: request.scope,
      upstream_session_nid: session.upstreamSessionNid,
      code_hash: hashToken(code),
      expires_ts: app.clock.now() + CODE_LIFETIME_MS,
    })
  })
  if (!isStored) throw signInEnded()
  return replyLocation(request, { code })
}
