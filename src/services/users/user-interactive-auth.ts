import type { App } from '../../app.ts'
import { ForbiddenError, InvalidParamError, MatrixError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { requireSize } from '../../core/limits.ts'
import { deleteUiaSession, findUiaSession, saveUiaSession, type UiaSession } from '../../storage/uia-sessions.ts'
import { type AuthData, UIA_STAGES, type UiaStageType, WrongUserError } from './uia-stages.ts'

/** The stages of one way to authenticate, in any order. */
export type UiaFlow = readonly UiaStageType[]

export type UiaRequest = {
  /** Method and path: a session authenticates one operation of one user only. */
  operation: string
  /** Who has to prove to be themselves; undefined at registration. */
  userId: UserId | undefined
  flows: readonly UiaFlow[]
  /** What clients need to know for some stages. */
  params?: Partial<Record<UiaStageType, Record<string, unknown>>>
  auth: AuthData | undefined
  /** The request without `auth` and without secrets. It is kept for clients that afterwards send nothing but `auth`. */
  body: Record<string, unknown>
}

type Capabilities = Pick<
  App,
  'config' | 'database' | 'clock' | 'random' | 'serverName' | 'passwordHasher' | 'rateLimiter'
>

const SESSION_LIFETIME_MS = 60 * 60_000
const SESSION_ID_LENGTH = 24

/**
 * Passes once a client has completed all stages of a flow; a session serves for one request. Gives what the stages found out, and the body of the
 * first request. Throws M_TOO_LARGE, and the 401 that tells the client how to go on. https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api
 */
export async function requireUserInteractiveAuth(
  app: Capabilities,
  request: UiaRequest,
): Promise<{ completed: Partial<Record<UiaStageType, string>>; body: Record<string, unknown> }> {
  const session = await openSession(app, request)
  requireSize(app.config.limits, 'authenticated_request', JSON.stringify(session.body))
  const failure = await attemptStage(app, request, session)
  if (failure || !isComplete(request, session)) {
    await app.database.write((tx) => saveUiaSession(tx, session, app.clock.now()))
    throw new AuthenticationNeeded(request, session, failure)
  }
  if (request.auth?.session !== undefined) await useUp(app, session)
  return { completed: session.completed, body: session.body }
}

/** 401 with the flows: what there is to do, and what went wrong with the last attempt. */
class AuthenticationNeeded extends MatrixError {
  constructor(
    { flows, params = {} }: UiaRequest,
    { sessionId, completed }: UiaSession,
    failure: MatrixError | undefined,
  ) {
    super(401, failure?.errcode ?? 'M_UNAUTHORIZED', failure?.message ?? 'Authentication is needed', {
      ...(failure && { errcode: failure.errcode, error: failure.message }),
      flows: flows.map((stages) => ({ stages })),
      params,
      session: sessionId,
      completed: Object.keys(completed),
    })
  }

  /** Without `errcode` unless an attempt failed: clients show that as an error. */
  override toJSON(): Record<string, unknown> {
    return this.extra
  }
}

async function openSession(app: Capabilities, { operation, userId, auth, body }: UiaRequest): Promise<UiaSession> {
  const boundTo = `${operation} ${userId ?? ''}`
  if (auth?.session === undefined) {
    return {
      sessionId: app.random.token(SESSION_ID_LENGTH),
      operation: boundTo,
      body,
      completed: {},
      expiresTs: app.clock.now() + SESSION_LIFETIME_MS,
    }
  }
  const session = await findUiaSession(app.database, auth.session, app.clock.now())
  if (!session) throw unknownSession()
  if (session.operation !== boundTo) throw new ForbiddenError('This authentication session is for another operation')
  return session
}

/** Completes the stage that `auth` is about; gives why it failed. Stages that are complete are not tried again. */
async function attemptStage(
  app: Capabilities,
  { flows, auth, operation, userId }: UiaRequest,
  session: UiaSession,
): Promise<MatrixError | undefined> {
  const type = flows.flat().find((stage) => stage === auth?.type)
  if (!auth || auth.type === undefined || Object.hasOwn(session.completed, auth.type)) return undefined
  if (!type) return new MatrixError(401, 'M_UNRECOGNIZED', `There is no stage ${auth.type} here`)
  try {
    session.completed[type] = await UIA_STAGES[type](app, { auth, operation, userId })
    return undefined
  } catch (error) {
    if (!(error instanceof MatrixError) || error instanceof WrongUserError) throw error
    // Nothing was attempted: the client has to wait.
    if (error.status === 429) throw error
    return error
  }
}

function isComplete({ flows, auth }: UiaRequest, { completed }: UiaSession): boolean {
  return auth !== undefined && flows.some((flow) => flow.every((stage) => Object.hasOwn(completed, stage)))
}

/** Of two requests with the same session at the same time, one passes. */
async function useUp(app: Capabilities, { sessionId }: UiaSession): Promise<void> {
  const isFirst = await app.database.write((tx) => deleteUiaSession(tx, sessionId))
  if (!isFirst) throw unknownSession()
}

function unknownSession(): MatrixError {
  return new InvalidParamError('There is no such authentication session, or it has expired')
}
