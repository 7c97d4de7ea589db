import type { App } from '../../../app.ts'
import { hasPassword } from '../../../services/users/require-password.ts'
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
  /** Default: the password, or for a user without one a sign-in on the pages of this server. */
  proof?: Pick<UiaRequest, 'flows' | 'params'>
}

/** Returns the authentication of a user: the password, or m.login.sso for a user without one. */
async function usualProof(app: App, { userId }: Session): Promise<Pick<UiaRequest, 'flows'>> {
  return { flows: [[(await hasPassword(app, userId)) ? 'm.login.password' : 'm.login.sso']] }
}

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
 * Performs a request once the session's user has authenticated with the account's password, or another proof. A user
 * without a password signs in on the pages of this server.
 */
export async function withPassword<Body extends Record<string, unknown>, Answer extends object>(
  app: App,
  session: Session,
  { operation, auth, body, check, perform, repeat, ...more }: ProtectedRequest<Body, Answer>,
): Promise<Answer | object> {
  const proof = more.proof ?? (await usualProof(app, session))
  const request = { operation, userId: session.userId, ...proof, auth, body: body ?? {} }
  return authenticateAndPerform<Answer | object>(app, request, {
    check: (wanted) => check?.(wanted.body as Body),
    perform: async (approved) => ({ answer: await perform(approved.body as Body, approved.completed) }),
    repeat: repeat ?? (() => ({})),
  })
}
