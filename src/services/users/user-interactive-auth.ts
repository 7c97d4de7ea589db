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
  /** The request without `auth` and `secret`. If these are all that the client sends, its first request in the session counts. */
  body: Record<string, unknown>
  /** A password that the request sets. Only its hash is kept. */
  secret?: string | undefined
}

/** What a client wants: the request as it sends it now, or as it sent it first. */
export type WantedRequest = { body: Record<string, unknown>; hasSecret: boolean }

/** An authenticated request, with what the stages found out. */
export type ApprovedRequest = {
  body: Record<string, unknown>
  secretHash: string | undefined
  completed: Partial<Record<UiaStageType, string>>
}

/** A request that was performed, and what it left. `knowsSecret`: whether the client has sent the request's secret again, and not `auth` alone. */
export type FinishedRequest = Pick<UiaSession, 'body' | 'secretHash'> & {
  note: Record<string, unknown>
  knowsSecret: boolean
}

/** What to do for an authenticated request. */
export type UiaAction<Answer> = {
  /** Throws for a request that cannot be performed, before the client has to authenticate. */
  check?(wanted: WantedRequest): Promise<void> | void
  /** Does it, once. `note`: what `repeat` has to know, without secrets. */
  perform(approved: ApprovedRequest): Promise<{ answer: Answer; note?: Record<string, unknown> }>
  /** Answers a client that sends a request again which was performed, as it has not got the answer. */
  repeat(finished: FinishedRequest): Promise<Answer> | Answer
}

type Capabilities = Pick<
  App,
  'config' | 'database' | 'clock' | 'random' | 'serverName' | 'passwordHasher' | 'rateLimiter'
>

const SESSION_LIFETIME_MS = 60 * 60_000
/** How long a request that was performed may be repeated. */
const REPETITION_MS = 5 * 60_000
const SESSION_ID_LENGTH = 24

/**
 * Performs a request once its client has completed all stages of a flow; a session serves for one request. Throws M_TOO_LARGE, what the action
 * throws, and the 401 that tells the client how to go on.
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

/** Whether a client sends nothing but `auth`. */
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

/** Of several requests with one session at the same time, one passes. A session whose request fails can be used for another try. */
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
  if (!isFirst) throw new InvalidParamError('This authentication session is in use for another request')
  const { answer, note = {} } = await action.perform(approved).catch(async (error) => {
    // Stages that have just been completed count for the next try: a proof of an address is used up.
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

/** Only the very request that was performed can be repeated: a session is no permission for another one. */
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
  return new InvalidParamError('There is no such authentication session, or it has expired')
}
