import type { App } from '../../app.ts'
import type { AuthData } from '../../services/users/uia-stages.ts'
import { requireUserInteractiveAuth } from '../../services/users/user-interactive-auth.ts'
import type { Session } from '../http/route.ts'

/** Has whoever holds the session prove to know the account's password. `body` is kept for clients that then send only `auth`; it comes back. */
export async function requirePassword(
  app: App,
  session: Session,
  request: { operation: string; auth: AuthData | undefined; body?: Record<string, unknown> },
): Promise<Record<string, unknown>> {
  const { body } = await requireUserInteractiveAuth(app, {
    operation: request.operation,
    userId: session.userId,
    flows: [['m.login.password']],
    auth: request.auth,
    body: request.body ?? {},
  })
  return body
}
