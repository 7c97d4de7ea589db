import type { App } from '../../app.ts'
import { insertLoginToken } from '../../storage/users/login-tokens.ts'
import type { Session } from './session.ts'
import { hashToken, newToken } from './tokens.ts'

/**
 * Issues a token with which another client can log in as the user, once, while the requesting device is logged in.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv1loginget_token
 */
export async function newLoginToken(
  app: Pick<App, 'database' | 'clock' | 'random' | 'config'>,
  { userId, deviceId }: Pick<Session, 'userId' | 'deviceId'>,
): Promise<{ login_token: string; expires_in_ms: number }> {
  const token = newToken(app, 'login')
  const now = app.clock.now()
  const lifetime = app.config.sessions.login_token_lifetime
  const stored = { tokenHash: hashToken(token), userId, deviceId, expiresTs: now + lifetime, now }
  await app.database.write((tx) => insertLoginToken(tx, stored))
  return { login_token: token, expires_in_ms: lifetime }
}
