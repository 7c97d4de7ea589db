import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import type { UserId } from '../../../core/ids.ts'
import { findOpenIdTokenUser, insertOpenIdToken } from '../../../storage/users/openid-tokens.ts'
import { hashToken, newToken } from '../tokens.ts'

const LIFETIME_SECONDS = 3600

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3useruseridopenidrequest_token */
export type OpenIdToken = { access_token: string; token_type: 'Bearer'; matrix_server_name: string; expires_in: number }

/** Issues a token with which third parties can verify the user's identity, for an hour. */
export async function newOpenIdToken(
  app: Pick<App, 'database' | 'clock' | 'random' | 'serverName'>,
  userId: UserId,
): Promise<OpenIdToken> {
  const token = newToken(app, 'openid')
  const now = app.clock.now()
  const expiresTs = now + LIFETIME_SECONDS * 1000
  await app.database.write((tx) => insertOpenIdToken(tx, { tokenHash: hashToken(token), userId, expiresTs, now }))
  return {
    access_token: token,
    token_type: 'Bearer',
    matrix_server_name: app.serverName,
    expires_in: LIFETIME_SECONDS,
  }
}

/**
 * Returns the user of a token. Throws 401 M_UNKNOWN_TOKEN for unknown or expired tokens.
 * https://spec.matrix.org/v1.19/server-server-api/#openid
 */
export async function findOpenIdUser(app: Pick<App, 'database' | 'clock'>, token: string): Promise<UserId> {
  const userId = await findOpenIdTokenUser(app.database, hashToken(token), app.clock.now())
  if (userId === undefined) throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'The token is unknown or has expired')
  return userId
}
