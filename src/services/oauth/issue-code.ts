import type { App } from '../../app.ts'
import type { UserId } from '../../core/ids.ts'
import { storeOAuthConsent } from '../../storage/oauth/oauth-requests.ts'
import { hashToken, newToken } from '../users/tokens.ts'
import { type PendingAuthorization, replyLocation, signInEnded } from './authorization-requests.ts'

/** How long a client may take to exchange its code. */
const CODE_LIFETIME_MS = 10 * 60_000

/**
 * Consents to an authorization request for its user. Returns the redirect URI with the code. Throws M_SIGN_IN_ENDED if an
 * earlier code of the request was exchanged.
 */
export async function issueCode(
  app: Pick<App, 'database' | 'clock' | 'random'>,
  { request }: PendingAuthorization,
  consent: { userId: UserId; authenticatedTs: number },
): Promise<string> {
  const code = newToken(app, 'code')
  const isStored = await app.database.write((tx) =>
    storeOAuthConsent(tx, {
      request_id: request.request_id,
      user_id: consent.userId,
      authenticated_ts: consent.authenticatedTs,
      granted_scope: request.scope,
      code_hash: hashToken(code),
      expires_ts: app.clock.now() + CODE_LIFETIME_MS,
    }),
  )
  if (!isStored) throw signInEnded()
  return replyLocation(request, { code })
}
