import { z } from 'zod'
import type { App } from '../../../app.ts'
import { BadJsonError, InvalidParamError, MatrixError, NotFoundError } from '../../../core/errors.ts'
import { type EventId, isRoomId, type RoomId } from '../../../core/ids.ts'
import type { Json } from '../../../core/pdu.ts'
import { startTask } from '../../../infra/concurrency/start-task.ts'
import type { Tx } from '../../../storage/engine/database.ts'
import { findTask, isTaskUnderWay, updateTask } from '../../../storage/jobs/tasks.ts'
import { type Purge, type PurgePlace, purgeEvents, purgeStream } from '../../../storage/rooms/removal/purge-events.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { findRoomHead } from '../../../storage/rooms/timeline/room-heads.ts'
import { loadEventsNearTime } from '../../../storage/rooms/timeline/timeline-pages.ts'

/** The task and job that purges the history of a room; the name is Synapse's. */
export const PURGE_HISTORY = 'purge_history'

export type HistoryPurge = {
  roomId: RoomId
  /** Events before this one in the timeline are purged, or events from before a time (milliseconds since 1970). */
  upTo: { eventId: EventId } | { ts: number } | undefined
  /** Whether events of local users are purged too: no other server may have them. */
  deleteLocal: boolean
}

/**
 * Begins a task that deletes the messages of a room from before an event or a time; state events and forward
 * extremities stay. Returns its id. Throws M_NOT_FOUND, M_BAD_JSON without an event or a time, M_INVALID_PARAM for an
 * event of another room, and M_UNKNOWN if the room's history is being purged already.
 */
export async function purgeHistory(app: App, { roomId, upTo, deleteLocal }: HistoryPurge): Promise<string> {
  if (!upTo) throw new BadJsonError('purge_up_to_event_id or purge_up_to_ts: one of them is required')
  const before =
    'ts' in upTo ? await requireEventsBefore(app, roomId, upTo.ts) : await orderOf(app, roomId, upTo.eventId)
  const payload = { room_id: roomId, before, delete_local: deleteLocal }
  const { taskId } = await startTask(app, { action: PURGE_HISTORY, resourceId: roomId, payload }, async (tx) => {
    if (await isTaskUnderWay(tx, PURGE_HISTORY, roomId))
      throw new MatrixError(400, 'M_UNKNOWN', 'The history of this room is being purged already')
  })
  return taskId
}

async function orderOf(app: App, roomId: RoomId, eventId: EventId): Promise<{ order: number }> {
  await requireWholeRoom(app, roomId)
  const [event] = await loadEventsById(app.database, [eventId])
  if (!event || event.event_order === null) throw new NotFoundError('This server does not have the event')
  if (event.room_id !== roomId) throw new InvalidParamError('The event is of another room')
  return { order: event.event_order }
}

async function requireEventsBefore(app: App, roomId: RoomId, ts: number): Promise<{ ts: number }> {
  const { next_order: next } = await requireWholeRoom(app, roomId)
  const last = { ts: ts - 1, direction: 'backwards' as const, lastOrder: next - 1, skip: 0, limit: 1 }
  const found = await loadEventsNearTime(app.database, { roomId, ...last })
  if (found.length === 0) throw new NotFoundError('There is no event to be purged')
  return { ts }
}

async function requireWholeRoom({ database }: Pick<App, 'database'>, roomId: RoomId) {
  const head = await findRoomHead(database, roomId)
  if (!head) throw new NotFoundError('This server does not know the room')
  if (head.is_partial)
    throw new MatrixError(400, 'M_UNKNOWN', 'This server is still fetching the state of the room. Try again later.')
  return head
}

/** Returns how far a purge is, in the form of Synapse's admin API. Throws M_NOT_FOUND. */
export async function findPurge(
  { database }: Pick<App, 'database'>,
  taskId: string,
): Promise<{ status: string; error?: string }> {
  const task = await findTask(database, taskId)
  if (task?.action !== PURGE_HISTORY) throw new NotFoundError('There is no such purge, or it ended long ago')
  const status = task.status === 'scheduled' ? 'active' : task.status
  return { status, ...(task.error !== null && { error: task.error }) }
}

const payload = z.object({
  task_id: z.string(),
  room_id: z.string().refine(isRoomId),
  before: z.union([z.object({ order: z.int() }), z.object({ ts: z.int() })]),
  delete_local: z.boolean(),
})

/** Runs the job of a purge. Purged events are not found again, so that a repeated job continues where it was. */
export async function runHistoryPurge(app: App, job: Json): Promise<void> {
  const { task_id: taskId, room_id: roomId, before, delete_local: deleteLocal } = payload.parse(job)
  const task = await findTask(app.database, taskId)
  const { events_deleted: deletedBefore = 0 } = JSON.parse(task?.result ?? '{}') as { events_deleted?: number }
  let deleted = deletedBefore
  const save = (tx: Tx, status: 'active' | 'complete') =>
    updateTask(tx, { taskId, status, result: { events_deleted: deleted }, now: app.clock.now() })
  await app.database.write((tx) => save(tx, 'active'))
  const purge = { roomId, before, except: deleteLocal ? null : app.serverName, isFetchedAgain: true }
  await purgeInBatches(app, purge, (tx, count) => {
    deleted = deleted + count
    return save(tx, 'active')
  })
  await purgeStreamOf(app, roomId)
  await app.database.write((tx) => save(tx, 'complete'))
}

/** Deletes all events of a purge; `note` counts them in the transaction of each batch that has some. */
export async function purgeInBatches(
  app: Pick<App, 'database' | 'stopping'>,
  purge: Purge,
  note: (tx: Tx, deleted: number) => Promise<void>,
): Promise<void> {
  for (let place: PurgePlace | undefined, isDone = false; !isDone; ) {
    app.stopping.throwIfAborted()
    const after: PurgePlace | undefined = place
    const batch = await app.database.write(async (tx) => {
      const found = await purgeEvents(tx, purge, after)
      if (found && found.deleted > 0) await note(tx, found.deleted)
      return found
    })
    place = batch?.place
    isDone = batch === undefined
  }
}

/** Deletes the rows of the stream that refer to purged events of a room. Reads all of the room's rows there. */
export async function purgeStreamOf(app: Pick<App, 'database' | 'stopping'>, roomId: RoomId): Promise<void> {
  for (let position: number | undefined = 0; position !== undefined; ) {
    app.stopping.throwIfAborted()
    const after: number = position
    position = await app.database.write((tx) => purgeStream(tx, roomId, after))
  }
}
