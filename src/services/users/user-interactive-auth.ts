import type { App } from '../../app.ts'
import { ForbiddenError, InvalidParamError, MatrixError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { canonicalJson } from '../../core/json/canonical-json.ts'
import { requireSize } from '../../core/limits.ts'
import type { JsonObject } from '../../core/pdu.ts'
import {
  claimUiaSession,
  findUiaSession,
  finishUiaSession,
  releaseUiaSession,
  saveUiaSession,
  type UiaSession,
} from '../../storage/users/uia-sessions.ts'
import {
  ACCOUNT_PAGE_STAGES,
  type AuthData,
  STAGES_ON_PAGES,
  type StageCapabilities,
  UIA_STAGES,
  type UiaStageType,
  WrongUserError,
} from './uia-stages.ts'

/** The stages of a flow, in any order. */
export type UiaFlow = readonly UiaStageType[]

export type UiaRequest = {
  /** Method and path: a session authenticates one operation of one user only. */
  operation: string
  /** The user who has to authenticate; undefined at registration. */
  userId: UserId | undefined
  flows: readonly UiaFlow[]
  /** Parameters of stages for clients. */
  params?: Partial<Record<UiaStageType, Record<string, unknown>>>
  auth: AuthData | undefined
  /**
   * The request without `auth` and `secret`. If the client sends only these, its first request in the session is used.
   */
  body: Record<string, unknown>
  /** A password that the request sets. Only its hash is kept. */
  secret?: string | undefined
}

/** The client's request, as sent now or first in the session. */
export type WantedRequest = { body: Record<string, unknown>; hasSecret: boolean }

/** An authenticated request, with the results of the stages. */
export type ApprovedRequest = {
  body: Record<string, unknown>
  secretHash: string | undefined
  completed: Partial<Record<UiaStageType, string>>
}

/**
 * A completed request, and its note. `knowsSecret`: whether the client has sent the request's secret again, and not
 * `auth` alone.
 */
export type FinishedRequest = Pick<UiaSession, 'body' | 'secretHash'> & {
  note: Record<string, unknown>
  knowsSecret: boolean
}

/** The action of an authenticated request. */
export type UiaAction<Answer> = {
  /** Throws for an invalid request, before the client has to authenticate. */
  check?(wanted: WantedRequest): Promise<void> | void
  /** Performs the request, once. `note`: input of `repeat`, without secrets. */
  perform(approved: ApprovedRequest): Promise<{ answer: Answer; note?: Record<string, unknown> }>
  /** Returns the response to a client that retries a completed request. */
  repeat(finished: FinishedRequest): Promise<Answer> | Answer
}

type Capabilities = StageCapabilities & Pick<App, 'random'>

const SESSION_LIFETIME_MS = 60 * 60_000
/** How long a completed request may be retried. */
const REPETITION_MS = 5 * 60_000
const SESSION_ID_LENGTH = 24

/**
 * Performs a request once its client has completed all stages of a flow; a session serves one request. Throws
 * M_TOO_LARGE, what the action throws, and the 401 with which the client continues.
 * https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api
 */
export async function authenticateAndPerform<Answer>(
  app: Capabilities,
  request: UiaRequest,
  action: UiaAction<Answer>,
): Promise<Answer> {
  const session = await openSession(app, request)
  if (session.note) return repeatFinished(app, { request, session, note: session.note, action })
  const body = isBare(request) ? session.body : request.body
  await action.check?.({ body, hasSecret: (request.secret ?? session.secretHash) !== undefined })
  requireSize(app.config.limits, 'authenticated_request', JSON.stringify(body))
  const failure = await attemptStage(app, request, session)
  if (failure || !isComplete(request, session)) {
    await remember(app, request, session)
    throw new AuthenticationNeeded(request, session, failure)
  }
  const secretHash = await hashOf(app, request, session)
  const approved: ApprovedRequest = { body, secretHash, completed: session.completed }
  if (request.auth?.session === undefined) return (await action.perform(approved)).answer
  return performOnce(app, { session, approved, action })
}

/** The 401 with the flows, the completed stages, and the error of the last attempt. */
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

  /** Has no `errcode` unless an attempt failed: clients show one as an error. */
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
      userId,
      body,
      secretHash: undefined,
      completed: {},
      note: undefined,
      expiresTs: app.clock.now() + SESSION_LIFETIME_MS,
    }
  }
  const session = await findUiaSession(app.database, auth.session, app.clock.now())
  if (!session) throw unknownSession()
  if (session.operation !== boundTo) throw new ForbiddenError('The authentication session belongs to another operation')
  return session
}

/** Attempts the stage of `auth`, and returns the error if it fails. Completed stages are skipped. */
async function attemptStage(
  app: Capabilities,
  request: UiaRequest,
  session: UiaSession,
): Promise<MatrixError | undefined> {
  const { auth, operation, userId } = request
  const type = stageToAttempt(request)
  if (!auth || type === undefined || Object.hasOwn(session.completed, type)) return undefined
  if (!isStage(request, type))
    return new MatrixError(401, 'M_UNRECOGNIZED', `The authentication stage ${type} is not supported`)
  try {
    session.completed[type] = await UIA_STAGES[type](app, { auth, operation, userId })
    return undefined
  } catch (error) {
    if (!(error instanceof MatrixError) || error instanceof WrongUserError) throw error
    // Nothing was attempted: the client has to wait.
    if (error.status === 429 || error.status >= 500) throw error
    // The user has not been to the page yet, and the client waits for it.
    if (STAGES_ON_PAGES.includes(type)) return undefined
    return error
  }
}

/** Returns the stage that the client names, or the one that the user completes on the account page. */
function stageToAttempt({ flows, auth }: UiaRequest): string | undefined {
  return auth?.type ?? flows.flat().find((stage) => ACCOUNT_PAGE_STAGES.includes(stage))
}

function isStage({ flows }: UiaRequest, type: string): type is UiaStageType {
  return flows.flat().some((stage) => stage === type)
}

function isComplete({ flows, auth }: UiaRequest, { completed }: UiaSession): boolean {
  return auth !== undefined && flows.some((flow) => flow.every((stage) => Object.hasOwn(completed, stage)))
}

/** Returns whether a client sends only `auth`. */
function isBare({ body, secret }: UiaRequest): boolean {
  return secret === undefined && Object.values(body).every((value) => value === undefined)
}

async function remember(app: Capabilities, request: UiaRequest, session: UiaSession): Promise<void> {
  const secretHash = await hashOf(app, request.auth?.session === undefined ? request : {}, session)
  await app.database.write((tx) => saveUiaSession(tx, { ...session, secretHash }, app.clock.now()))
}

async function hashOf(
  app: Capabilities,
  { secret }: Pick<UiaRequest, 'secret'>,
  session: UiaSession,
): Promise<string | undefined> {
  return secret === undefined ? session.secretHash : app.passwordHasher.hash(secret)
}

/**
 * Performs the request for one of several concurrent requests with one session. If it fails, the session can be used
 * again.
 */
async function performOnce<Answer>(
  app: Capabilities,
  {
    session,
    approved,
    action,
  }: {
    session: UiaSession
    approved: ApprovedRequest
    action: UiaAction<Answer>
  },
): Promise<Answer> {
  const { sessionId } = session
  const isFirst = await app.database.write((tx) => claimUiaSession(tx, sessionId))
  if (!isFirst) throw new InvalidParamError('Another request uses the authentication session')
  const { answer, note = {} } = await action.perform(approved).catch(async (error) => {
    // Saves completed stages for the retry: a verified address can be used only once.
    await app.database.write(async (tx) => {
      await saveUiaSession(tx, session, app.clock.now())
      await releaseUiaSession(tx, sessionId)
    })
    throw error
  })
  const { body, secretHash } = approved
  const expiresTs = app.clock.now() + REPETITION_MS
  await app.database.write((tx) => finishUiaSession(tx, { ...session, body, secretHash, note, expiresTs }))
  return answer
}

/** Only the same request can be retried: a completed session permits no other request. */
async function repeatFinished<Answer>(
  app: Capabilities,
  {
    request,
    session,
    note,
    action,
  }: {
    request: UiaRequest
    session: UiaSession
    note: Record<string, unknown>
    action: UiaAction<Answer>
  },
): Promise<Answer> {
  if (!isBare(request) && textOf(request.body) !== textOf(session.body)) throw unknownSession()
  if (request.secret !== undefined) {
    await app.rateLimiter.take('login', `session ${session.sessionId}`)
    if (!(await app.passwordHasher.verify(session.secretHash, request.secret))) throw unknownSession()
  }
  const { body, secretHash } = session
  return action.repeat({ body, secretHash, note, knowsSecret: request.secret !== undefined })
}

/** Equal requests have equal texts. */
function textOf(body: Record<string, unknown>): string {
  return canonicalJson(JSON.parse(JSON.stringify(body)) as JsonObject, { strict: false })
}

function unknownSession(): MatrixError {
  return new InvalidParamError('Unknown or expired authentication session')
}
