import type { App } from '../../../app.ts'
import { InvalidParamError } from '../../../core/errors.ts'
import type { Filter } from '../../../core/filters/filter-schema.ts'
import type { DeviceId, UserId } from '../../../core/ids.ts'
import { acknowledgedIn, lastRoomIn, parseSyncToken, stickyIn, syncToken } from '../../../core/sync-token.ts'
import { loadMembersOfRooms } from '../../../storage/devices/device-lists.ts'
import type { PresenceState } from '../../../storage/schema/presence.ts'
import { loadIgnoredUsers } from '../../../storage/users/ignored-users.ts'
import { answerBudget, reportDropped } from '../answers/answer-budget.ts'
import { compileSyncFilter } from '../answers/sync-filter.ts'
import { waitingMessages } from '../sections/encryption-changes.ts'
import type { SyncedRoom, SyncViewer } from '../sections/sync-room.ts'
import { acknowledgeToDevice } from '../sections/to-device.ts'
import { createWaker } from '../waiting/waker.ts'
import { incrementalSync } from './incremental-sync.ts'
import { initialSync } from './initial-sync.ts'

export type SyncCommand = {
  userId: UserId
  deviceId: DeviceId | null
  /** The token of the last response; undefined: an initial sync. */
  since: string | undefined
  /** How long to wait for changes, in milliseconds. */
  timeout: number
  filter: Filter
  /** Whether to send all state of all rooms. */
  fullState: boolean
  stateAfter: SyncViewer['stateAfter']
  /** The user's presence as set by the device; undefined: unchanged. */
  presence?: PresenceState | undefined
  /** The stream position after which the request arrived, if known. */
  streamPosition?: number | undefined
  /** Aborts the wait. */
  signal: AbortSignal
}

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

/** Longer waits gain nothing and tie up proxies. */
const MAX_TIMEOUT_MS = 10 * 60_000

/**
 * Runs one /sync request. Throws M_INVALID_PARAM for a token of another server.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync
 */
export async function sync(app: Capabilities, command: SyncCommand): Promise<Record<string, unknown>> {
  const { presence } = command
  if (presence === undefined || !app.config.presence.enabled) return answer(app, command)
  const present = app.presence.beginSync({ ...command, presence })
  try {
    // An initial sync includes the user's own presence, so that the next one does not report it as changed.
    if (command.since === undefined) await present.settled
    return await answer(app, command)
  } finally {
    present.end()
  }
}

async function answer(app: Capabilities, command: SyncCommand): Promise<Record<string, unknown>> {
  const viewer = {
    userId: command.userId,
    deviceId: command.deviceId,
    filter: compileSyncFilter(command.filter),
    stateAfter: command.stateAfter,
  }
  const { since } = command
  const isLost = since !== undefined && app.stream.isLost(parseSyncToken(since))
  const body =
    since === undefined || isLost
      ? await app.sync.firstAnswers.inTurn(viewer.userId, () =>
          isLost ? everythingAgain(app, viewer, since) : everything(app, viewer),
        )
      : await changesSince(app, viewer, { ...command, since })
  return { ...(await app.sync.keyCounts(viewer)), ...body }
}

/** The ignored users are read when needed, since they may change while a sync waits. */
type NewViewer = Omit<SyncViewer, 'ignored' | 'budget'>

async function everything(app: Capabilities, viewer: NewViewer): Promise<Record<string, unknown>> {
  const ignored = await loadIgnoredUsers(app.database, viewer.userId)
  const budget = answerBudget(app, { rooms: 1 })
  const { position, body, lastRoom } = await initialSync(app, { ...viewer, ignored, budget })
  reportDropped(app, viewer.userId, budget)
  // Cached key counts are as old as this process's view of the stream.
  while (app.stream.position() < position) await app.stream.refresh()
  const { sections, toDevice } = await waitingMessages(app, { ...viewer, to: position })
  return { ...body, ...sections, next_batch: syncToken(position, { toDevice, lastRoom }) }
}

/**
 * Returns everything for a client that has synced with a database which a restored backup has replaced: its timelines
 * have gaps, it may have to leave rooms, and it has to query all keys again.
 */
async function everythingAgain(app: Capabilities, viewer: NewViewer, since: string): Promise<Record<string, unknown>> {
  await acknowledgeToDevice(app, viewer, acknowledgedIn(since) ?? parseSyncToken(since))
  const body = await everything(app, { ...viewer, filter: { ...viewer.filter, includeLeave: true } })
  const { join = {} } = (body.rooms ?? {}) as { join?: Record<string, SyncedRoom> }
  for (const { timeline } of Object.values(join)) timeline.limited = true
  const { joined } = await app.sync.connectedUsers.get(viewer.userId)
  return { ...body, device_lists: { changed: await loadMembersOfRooms(app.database, [...joined]), left: [] } }
}

async function changesSince(
  app: Capabilities,
  viewer: NewViewer,
  { since, timeout, signal, fullState, streamPosition }: SyncCommand & { since: string },
): Promise<Record<string, unknown>> {
  const from = parseSyncToken(since)
  const acknowledged = acknowledgedIn(since)
  const stickyFrom = stickyIn(since)
  const lastRoom = lastRoomIn(since)
  const deadline = app.clock.now() + Math.min(timeout, MAX_TIMEOUT_MS)
  const connected = app.sync.connectedUsers
  const user = await connected.get(viewer.userId)
  const waker = createWaker(app, user)
  let isOver = false
  try {
    // Includes the user's actions through other processes.
    await app.stream.reach(streamPosition)
    if (from > app.stream.position()) {
      throw new InvalidParamError('since: is a token from another time or server; sync again without it')
    }
    if (acknowledged !== undefined) await acknowledgeToDevice(app, viewer, acknowledged)
    for (;;) {
      waker.reset()
      const ignored = await connected.ignoredBy(user)
      const to = app.stream.position()
      const budget = answerBudget(app, { rooms: 1 })
      const body = await incrementalSync(
        app,
        { ...viewer, ignored, budget },
        {
          user,
          from,
          to,
          fullState,
          acknowledged,
          stickyFrom,
          partial: connected.partialRooms(),
          lastRoom,
        },
      )
      reportDropped(app, viewer.userId, budget)
      if (body) return body
      const left = deadline - app.clock.now()
      if (isOver || left <= 0 || signal.aborted) return { next_batch: syncToken(to) }
      app.metrics.syncWaiters.inc()
      isOver = await waker.wait(left, signal).finally(() => app.metrics.syncWaiters.dec())
    }
  } finally {
    waker.close()
  }
}
