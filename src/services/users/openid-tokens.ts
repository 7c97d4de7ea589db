import type { App } from '../../app.ts'
import type { UserId } from '../../core/ids.ts'
import { insertOpenIdToken } from '../../storage/openid-tokens.ts'
import { hashToken, newToken } from './tokens.ts'

const LIFETIME_SECONDS = 3600

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3useruseridopenidrequest_token */
export type OpenIdToken = { access_token: string; token_type: 'Bearer'; matrix_server_name: string; expires_in: number }

/** A token by which others can ask this server who the user is, for an hour. */
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
