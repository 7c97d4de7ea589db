import type { App } from '../../app.ts'
import type { UserId } from '../../core/ids.ts'
import { insertLoginToken } from '../../storage/users/login-tokens.ts'
import type { SignedInBy } from './hold-browser.ts'
import { type ClientSession, holdSession } from './hold-session.ts'
import type { Session } from './session.ts'
import { hashToken, newToken } from './tokens.ts'

type Capabilities = Pick<App, 'database' | 'clock' | 'random' | 'config'>
type LoginToken = { login_token: string; expires_in_ms: number }

/**
 * Issues a token with which another client can log in as the user, once, while the requesting device is logged in. Throws
 * M_UNKNOWN_TOKEN if it was logged out.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv1loginget_token
 */
export async function newLoginToken(
  app: Capabilities,
  session: ClientSession & Pick<Session, 'deviceId'>,
): Promise<LoginToken> {
  const { userId, deviceId } = session
  return issueLoginToken(app, { userId, deviceId, upstreamSessionNid: null }, session)
}

/**
 * Issues a token to a client of single sign-on, once somebody has signed in on the pages. Throws M_SIGN_IN_ENDED if the
 * browser was signed out.
 * https://spec.matrix.org/v1.19/client-server-api/#client-login-via-sso
 */
export async function newSsoToken(
  app: Capabilities,
  { userId, sessionId, upstreamSessionNid }: SignedInBy & { upstreamSessionNid: number | null },
): Promise<string> {
  const whose = { userId, deviceId: null, upstreamSessionNid }
  return (await issueLoginToken(app, whose, { userId, sessionId })).login_token
}

async function issueLoginToken(
  app: Capabilities,
  whose: { userId: UserId; deviceId: Session['deviceId']; upstreamSessionNid: number | null },
  session: SignedInBy | ClientSession,
): Promise<LoginToken> {
  const token = newToken(app, 'login')
  const now = app.clock.now()
  const lifetime = app.config.sessions.login_token_lifetime
  const stored = { tokenHash: hashToken(token), ...whose, expiresTs: now + lifetime, now }
  await app.database.write(async (tx) => {
    await holdSession(tx, session)
    await insertLoginToken(tx, stored)
  })
  return { login_token: token, expires_in_ms: lifetime }
}
