import type { App } from '../../../app.ts'
import { requirePassword } from '../../../services/users/require-password.ts'
import type { AuthData } from '../../../services/users/uia-stages.ts'
import {
  type ApprovedRequest,
  authenticateAndPerform,
  type UiaRequest,
} from '../../../services/users/user-interactive-auth.ts'
import type { Session } from '../../http/route.ts'

/** A request that needs the account's password, or another proof. */
type ProtectedRequest<Body, Answer> = {
  /** HTTP method and path. */
  operation: string
  auth: AuthData | undefined
  /**
   * The request without `auth` and without defaults: a client that continues an authentication may send only `auth`.
   */
  body?: Body
  /** Throws for an incomplete request. */
  check?(body: Body): void
  perform(body: Body, completed?: ApprovedRequest['completed']): Promise<Answer>
  /** Returns the response when a completed request is repeated. Default: an empty object. */
  repeat?(): Promise<Answer>
  /** Default: the password. */
  proof?: Pick<UiaRequest, 'flows' | 'params'>
}

const PASSWORD: Pick<UiaRequest, 'flows'> = { flows: [['m.login.password']] }

/**
 * As `withPassword`, but application services are exempt.
 * https://spec.matrix.org/v1.19/application-service-api/#device-management
 */
export async function withPasswordOfPeople<Body extends Record<string, unknown>, Answer extends object>(
  app: App,
  session: Session,
  request: ProtectedRequest<Body, Answer>,
): Promise<Answer | object> {
  if (!session.appservice) return withPassword(app, session, request)
  const body = request.body ?? ({} as Body)
  request.check?.(body)
  return request.perform(body)
}

/**
 * Performs a request once the session's user has authenticated with the account's password, or another proof. Throws
 * M_FORBIDDEN for an account without a password that has no other proof.
 */
export async function withPassword<Body extends Record<string, unknown>, Answer extends object>(
  app: App,
  session: Session,
  { operation, auth, body, check, perform, repeat, proof = PASSWORD }: ProtectedRequest<Body, Answer>,
): Promise<Answer | object> {
  if (proof === PASSWORD) await requirePassword(app, session.userId)
  const request = { operation, userId: session.userId, ...proof, auth, body: body ?? {} }
  return authenticateAndPerform<Answer | object>(app, request, {
    check: (wanted) => check?.(wanted.body as Body),
    perform: async (approved) => ({ answer: await perform(approved.body as Body, approved.completed) }),
    repeat: repeat ?? (() => ({})),
  })
}
