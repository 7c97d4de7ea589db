import type { App } from '../../../app.ts'
import type { AuthData } from '../../../services/users/uia-stages.ts'
import { authenticateAndPerform } from '../../../services/users/user-interactive-auth.ts'
import type { Session } from '../../http/route.ts'

/** A request that a password protects. */
type ProtectedRequest<Body, Answer> = {
  /** Method and path. */
  operation: string
  auth: AuthData | undefined
  /** The request without `auth`, without defaults: a client that goes on with an authentication may send nothing but `auth`. */
  body?: Body
  /** Throws for a request that lacks something. */
  check?(body: Body): void
  perform(body: Body): Promise<Answer>
  /** Answers a request again that was performed; default: as nothing, for nothing is left to be done. */
  repeat?(): Promise<Answer>
}

/** As `withPassword`, but application services need not prove anything. https://spec.matrix.org/v1.19/application-service-api/#device-management */
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

/** Performs a request once the holder of the session has proven to know the account's password. */
export function withPassword<Body extends Record<string, unknown>, Answer extends object>(
  app: App,
  session: Session,
  { operation, auth, body, check, perform, repeat }: ProtectedRequest<Body, Answer>,
): Promise<Answer | object> {
  const request = { operation, userId: session.userId, flows: [['m.login.password']] as const, auth, body: body ?? {} }
  return authenticateAndPerform<Answer | object>(app, request, {
    check: (wanted) => check?.(wanted.body as Body),
    perform: async (approved) => ({ answer: await perform(approved.body as Body) }),
    repeat: repeat ?? (() => ({})),
  })
}
