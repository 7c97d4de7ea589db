import type { App } from '../../../app.ts'
import { requireSize } from '../../../core/limits.ts'
import { parseSlidingPos, slidingPos, unknownPos } from '../../../core/sliding-pos.ts'
import { acknowledgedIn, parseSyncToken } from '../../../core/sync-token.ts'
import {
  type ConnectionState,
  findConnection,
  openConnection,
  returnToAnswer,
  storeAnswers,
  touchConnection,
} from '../../../storage/sync/sliding-connections.ts'
import { loadIgnoredUsers } from '../../../storage/users/ignored-users.ts'
import { answerBudget, reportDropped } from '../answers/answer-budget.ts'
import { compileSyncFilter } from '../answers/sync-filter.ts'
import type { SyncViewer } from '../sections/sync-room.ts'
import { acknowledgeToDevice } from '../sections/to-device.ts'
import { rowsOf } from '../v3/incremental-sync.ts'
import type { ConnectedUser } from '../waiting/connected-users.ts'
import { createWaker } from '../waiting/waker.ts'
import { type SlidingAnswer, type SlidingNews, slidingAnswer } from './sliding-answer.ts'
import { stickySince } from './sliding-extensions.ts'
import type { SlidingRequest } from './sliding-request.ts'

type Capabilities = Pick<
  App,
  | 'config'
  | 'database'
  | 'clock'
  | 'random'
  | 'stream'
  | 'logger'
  | 'metrics'
  | 'reading'
  | 'sync'
  | 'presence'
  | 'push'
>
/** A response; `isNews` false: nothing changed until the timeout. */
export type SlidingReply = Omit<SlidingAnswer, 'changes'> & { pos: string; connection: ConnectionState }

/** Longer waits gain nothing and tie up proxies. */
const MAX_TIMEOUT_MS = 10 * 60_000
const TOUCH_MS = 60 * 60 * 1000
const EVERYTHING = compileSyncFilter({})

/**
 * Runs one round of sliding sync. Throws M_UNKNOWN_POS for a `pos` that is neither of this connection's last response
 * nor, if the client lost that, of the one before.
 * https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/4186-simplified-sliding-sync.md
 */
export async function slidingSync(app: Capabilities, request: SlidingRequest): Promise<SlidingReply> {
  const { presence } = request
  if (presence === undefined || !app.config.presence.enabled) return answer(app, request)
  const present = app.presence.beginSync({ ...request, presence })
  try {
    return await answer(app, request)
  } finally {
    present.end()
  }
}

async function answer(app: Capabilities, request: SlidingRequest): Promise<SlidingReply> {
  requireSize(app.config.limits, 'sliding_config', configsOf(request))
  const since = request.extensions.toDevice?.since
  const acknowledged = since === undefined ? undefined : acknowledgedIn(since)
  for (const token of [since, request.extensions.sticky?.since]) if (token !== undefined) parseSyncToken(token)
  const reply = request.pos === undefined ? begin : continueConnection
  if (acknowledged !== undefined) await acknowledgeToDevice(app, request, acknowledged)
  return reply(app, request)
}

/** Returns the distinct room configurations of a request, as text. */
function configsOf({ lists, subscriptions }: SlidingRequest): string {
  const configs = [...[...lists.values()].map(({ config }) => config), ...subscriptions.values()]
  return [...new Set(configs.map((config) => JSON.stringify(config)))].join()
}

/** Returns the first response of a connection. */
async function begin(app: Capabilities, request: SlidingRequest): Promise<SlidingReply> {
  const to = await app.stream.refresh()
  const viewer = viewerOf(app, request, await loadIgnoredUsers(app.database, request.userId))
  const news = { from: undefined, to, rows: [], joined: new Set<never>() }
  const { changes, ...result } = await app.sync.firstAnswers.inTurn(request.userId, () =>
    slidingAnswer(app, viewer, { request, connection: undefined, news }),
  )
  reportDropped(app, request.userId, viewer.budget)
  const connection = await app.database.write(async (tx) => {
    const now = app.clock.now()
    const opened = await openConnection(tx, request, now)
    await storeAnswers(tx, [{ connection: opened, base: 0, ...changes!, now }])
    return { connection_nid: opened, answer: 1, configs: changes!.configs, shape: changes!.shape, used_ts: now }
  })
  return { ...result, connection, pos: slidingPos({ connection: connection.connection_nid, answer: 1, position: to }) }
}

async function continueConnection(app: Capabilities, request: SlidingRequest): Promise<SlidingReply> {
  const pos = parseSlidingPos(request.pos!)
  const connection = await connectionAt(app, request, pos)
  const deadline = app.clock.now() + Math.min(request.timeout, MAX_TIMEOUT_MS)
  const user = await app.sync.connectedUsers.get(request.userId)
  const waker = createWaker(app, user)
  let hasToEnd = false
  try {
    // Includes the user's actions through other processes. After a mere acknowledgement, rows are sent as soon as this
    // process sees them.
    if (!isStillAt(request.connection, pos)) await app.stream.reach(request.streamPosition)
    if (pos.position > app.stream.position()) throw unknownPos()
    for (;;) {
      waker.reset()
      const to = app.stream.position()
      const news = await newsOf(app, request, { user, from: pos.position, to })
      const left = deadline - app.clock.now()
      const isOver = hasToEnd || left <= 0 || request.signal.aborted
      if (isOver || news.rows.length > 0 || !knowsAll(request, connection, pos.position)) {
        const viewer = viewerOf(app, request, await app.sync.connectedUsers.ignoredBy(user))
        const result = await slidingAnswer(app, viewer, { request, connection, news })
        reportDropped(app, request.userId, viewer.budget)
        if (result.isNews || isOver) return await reply(app, { request, connection, result, to })
      }
      app.metrics.syncWaiters.inc()
      hasToEnd = await waker.wait(left, request.signal).finally(() => app.metrics.syncWaiters.dec())
    }
  } finally {
    waker.close()
  }
}

/** Returns the connection as of the response that the client has. */
async function connectionAt(
  app: Capabilities,
  request: SlidingRequest,
  pos: { connection: number; answer: number },
): Promise<ConnectionState> {
  const connection = isStillAt(request.connection, pos)
    ? request.connection
    : await findConnection(app.database, request)
  if (connection?.connection_nid !== pos.connection) throw unknownPos()
  const now = app.clock.now()
  if (connection.answer === pos.answer) {
    if (connection.used_ts < now - TOUCH_MS) {
      await app.database.write((tx) => touchConnection(tx, pos.connection, now))
      return { ...connection, used_ts: now }
    }
    return connection
  }
  if (!(await app.database.write((tx) => returnToAnswer(tx, pos.connection, pos.answer)))) throw unknownPos()
  // Configurations that only the lost response used are harmless. Its request counts as changed, so that the response
  // is immediate.
  return { ...connection, answer: pos.answer, shape: '' }
}

/** Returns whether the caller's connection state is of this position. */
function isStillAt(
  connection: ConnectionState | undefined,
  pos: { connection: number; answer: number },
): connection is ConnectionState {
  return connection?.connection_nid === pos.connection && connection.answer === pos.answer
}

async function newsOf(
  app: Capabilities,
  { extensions }: SlidingRequest,
  { user, from, to }: { user: ConnectedUser; from: number; to: number },
): Promise<SlidingNews> {
  // The user's rooms as of `to`, read before any await, since the stream updates them.
  const { rooms: present, joined } = user
  const followsProfiles = extensions.profiles !== undefined
  return { from, to, joined, rows: await rowsOf(app, { user, from, to, joined, present, followsProfiles }) }
}

/** Returns whether only new rows can change the response: the request is the same as before, and was answered. */
function knowsAll(request: SlidingRequest, connection: ConnectionState, from: number): boolean {
  const { toDevice, sticky } = request.extensions
  if (connection.shape !== request.shape) return false
  if (sticky && stickySince(sticky, from) < from) return false
  if (!toDevice) return true
  return toDevice.since !== undefined && (acknowledgedIn(toDevice.since) ?? parseSyncToken(toDevice.since)) >= from
}

/** Stores the response, and assigns its `pos`. */
async function reply(
  app: Capabilities,
  {
    request,
    connection,
    result,
    to,
  }: { request: SlidingRequest; connection: ConnectionState; result: SlidingAnswer; to: number },
): Promise<SlidingReply> {
  const { changes, ...rest } = result
  const { connection_nid: nid } = connection
  // A client that has disconnected will retry, and get the same changes.
  if (changes && request.signal.aborted) return { ...rest, connection, pos: request.pos! }
  if (!changes) {
    return { ...rest, connection, pos: slidingPos({ connection: nid, answer: connection.answer, position: to }) }
  }
  const now = app.clock.now()
  const number = await app.sync.slidingAnswers.store({ connection: nid, base: connection.answer, ...changes, now })
  if (number === undefined) throw unknownPos()
  const { configs, shape } = changes
  return {
    ...rest,
    connection: { connection_nid: nid, answer: number, configs, shape, used_ts: now },
    pos: slidingPos({ connection: nid, answer: number, position: to }),
  }
}

function viewerOf(app: Capabilities, { userId, deviceId }: SlidingRequest, ignored: ReadonlySet<string>): SyncViewer {
  const budget = answerBudget(app, { rooms: 1 })
  return { userId, deviceId, ignored, filter: EVERYTHING, stateAfter: undefined, budget }
}
