import { z } from 'zod'
import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import type { RoomId } from '../../../core/ids.ts'
import type { Json } from '../../../core/pdu.ts'
import { lifetimeOf } from '../../../core/rooms/retention.ts'
import { repeat } from '../../../infra/concurrency/repeat.ts'
import { newTaskId } from '../../../infra/concurrency/start-task.ts'
import type { Tx } from '../../../storage/engine/database.ts'
import { isJobPending } from '../../../storage/jobs/jobs.ts'
import { beginTask, findTask, hasBegunSince, updateTask } from '../../../storage/jobs/tasks.ts'
import { loadAbandonedRooms, loadExpiringRooms, type RetentionOfRoom } from '../../../storage/rooms/retention.ts'
import { findRoomHead } from '../../../storage/rooms/timeline/room-heads.ts'
import { purgeInBatches, purgeStreamOf } from '../../rooms/administration/purge-history.ts'
import { deleteRoom } from './delete-room.ts'

/** The task and job that deletes expired messages, and rooms that all local users have left. */
export const CLEAN_ROOMS = 'clean_rooms'

const LOOK_MS = 60_000
const ROOMS_AT_ONCE = 500
/** Abandoned rooms deleted at once: on PostgreSQL, each mostly waits. */
const DELETED_AT_ONCE = 4
/** Waits for a deletion, of up to two seconds each; others begin after that. */
const MOST_WAITS = 30

type Progress = { messages_deleted: number; rooms_cleaned: number; rooms_deleted: number }

/** Begins the task when it is due, in one of the processes, until the server stops. */
export function startCleaning(app: App): { stop(): Promise<void> } {
  const every = Math.min(LOOK_MS, app.config.retention.interval)
  return repeat(app, { every, first: every, failure: 'start of room cleaning failed' }, () => beginWhenDue(app))
}

/** Begins the task unless one has begun within the interval, or nothing is ever to be deleted. */
export async function beginWhenDue(app: App): Promise<void> {
  const { enabled, interval, abandoned_rooms: abandoned } = app.config.retention
  if (!enabled && abandoned === undefined) return
  const now = app.clock.now()
  const taskId = newTaskId(app)
  const job = await app.database.write(async (tx) => {
    if (await hasBegunSince(tx, CLEAN_ROOMS, now - interval)) return undefined
    return beginTask(tx, { taskId, action: CLEAN_ROOMS, resourceId: null, payload: {}, now })
  })
  if (job !== undefined) app.jobs.begin(job, { whenFree: true })
}

const payload = z.object({ task_id: z.string() })

/** Runs the job. Deleted events are not found again, so that a repeated job continues where it was. */
export async function cleanRooms(app: App, job: Json): Promise<void> {
  const { task_id: taskId } = payload.parse(job)
  const task = await findTask(app.database, taskId)
  const nothing: Progress = { messages_deleted: 0, rooms_cleaned: 0, rooms_deleted: 0 }
  const progress: Progress = { ...nothing, ...JSON.parse(task?.result ?? '{}') }
  const save = (tx: Tx, status: 'active' | 'complete' = 'active') =>
    updateTask(tx, { taskId, status, result: progress, now: app.clock.now() })
  await app.database.write((tx) => save(tx))
  if (app.config.retention.enabled) await purgeExpired(app, progress, save)
  await deleteAbandoned(app, progress, save)
  await app.database.write((tx) => save(tx, 'complete'))
}

async function purgeExpired(app: App, progress: Progress, save: (tx: Tx) => Promise<void>): Promise<void> {
  const { retention } = app.config
  for await (const room of expiringRooms(app)) {
    app.stopping.throwIfAborted()
    const lifetime = lifetimeOf(room, retention)
    if (lifetime === undefined) continue
    const before = { ts: app.clock.now() - lifetime }
    const deletedBefore = progress.messages_deleted
    const purge = { roomId: room.room_id, before, except: null, isFetchedAgain: false }
    await purgeInBatches(app, purge, (tx, deleted) => {
      progress.messages_deleted += deleted
      return save(tx)
    })
    if (progress.messages_deleted === deletedBefore) continue
    progress.rooms_cleaned += 1
    await purgeStreamOf(app, room.room_id)
  }
}

/** Yields the rooms whose messages may expire. */
export async function* expiringRooms(
  { database, config: { retention } }: Pick<App, 'database' | 'config'>,
  defaultLifetime = retention.default_lifetime ?? retention.max_lifetime,
): AsyncGenerator<RetentionOfRoom> {
  for (let after = ''; ; ) {
    const page = await loadExpiringRooms(database, {
      after,
      areAll: defaultLifetime !== undefined,
      limit: ROOMS_AT_ONCE,
    })
    yield* page
    const last = page.at(-1)
    if (!last) return
    after = last.room_id
  }
}

async function deleteAbandoned(app: App, progress: Progress, save: (tx: Tx) => Promise<void>): Promise<void> {
  const { abandoned_rooms: abandoned } = app.config.retention
  if (abandoned === undefined) return
  const before = app.clock.now() - abandoned
  for (let after = ''; ; ) {
    const rooms = await loadAbandonedRooms(app.database, { after, before, limit: ROOMS_AT_ONCE })
    for (let start = 0; start < rooms.length; start += DELETED_AT_ONCE) {
      app.stopping.throwIfAborted()
      const some = rooms.slice(start, start + DELETED_AT_ONCE)
      const areDeleted = await Promise.all(some.map((roomId) => deleteUnused(app, roomId)))
      progress.rooms_deleted += areDeleted.filter(Boolean).length
      await app.database.write(save)
    }
    const last = rooms.at(-1)
    if (last === undefined) return
    after = last
  }
}

/** Deletes a room unless a local user has entered it in the meantime. Returns whether it is gone. */
async function deleteUnused(app: App, roomId: RoomId): Promise<boolean> {
  const nothing = { newRoomUserId: null, roomName: '', message: '', block: false, force: false }
  const deletion = { roomId, by: null, purge: true, unlessUsed: true, ...nothing }
  const begun = await deleteRoom(app, deletion).catch(unlessUnderWay)
  if (!begun) return false
  for (let waits = 0; waits < MOST_WAITS && (await isJobPending(app.database, begun.job)); waits++) {
    app.stopping.throwIfAborted()
    await app.jobs.attend(begun.job)
  }
  return (await findRoomHead(app.database, roomId)) === undefined
}

function unlessUnderWay(error: unknown): undefined {
  if (!(error instanceof MatrixError)) throw error
}
