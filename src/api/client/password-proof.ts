import type { App } from '../../app.ts'
import type { AuthData } from '../../services/users/uia-stages.ts'
import { requireUserInteractiveAuth } from '../../services/users/user-interactive-auth.ts'
import type { Session } from '../http/route.ts'

type Proof = { operation: string; auth: AuthData | undefined; body?: Record<string, unknown> }

/** As `requirePassword`, but application services need not prove anything. https://spec.matrix.org/v1.19/application-service-api/#device-management */
export async function requirePasswordOfPeople(
  app: App,
  session: Session,
  request: Proof,
): Promise<Record<string, unknown>> {
  return session.appservice ? (request.body ?? {}) : requirePassword(app, session, request)
}

/** Has whoever holds the session prove to know the account's password. `body` is kept for clients that then send only `auth`; it comes back. */
export async function requirePassword(app: App, session: Session, request: Proof): Promise<Record<string, unknown>> {
  const { body } = await requireUserInteractiveAuth(app, {
    operation: request.operation,
    userId: session.userId,
    flows: [['m.login.password']],
    auth: request.auth,
    body: request.body ?? {},
  })
  return body
}
