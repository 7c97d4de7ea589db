import { z } from 'zod'
import type { App } from '../../../app.ts'
import { MatrixError, NotFoundError } from '../../../core/errors.ts'
import { isRoomId, isUserId, type RoomId, type UserId } from '../../../core/ids.ts'
import type { Json } from '../../../core/pdu.ts'
import { startTask } from '../../../infra/concurrency/start-task.ts'
import type { Tx } from '../../../storage/engine/database.ts'
import { findTask, isTaskUnderWay, listTasks, updateTask } from '../../../storage/jobs/tasks.ts'
import { isRoomHere } from '../../../storage/rooms/membership/room-servers.ts'
import { insertRoomBlock } from '../../../storage/rooms/room-blocks.ts'
import type { TaskRow } from '../../../storage/schema/administration.ts'
import { findLocalUser } from '../../users/account-moderation.ts'
import { removeRoom } from './remove-room.ts'
import { type Shutdown, shutDownRoom } from './shut-down-room.ts'

/** The task and job that deletes a room; the name is Synapse's. */
export const DELETE_ROOM = 'shutdown_and_purge_room'

const MAX_TASKS = 1000
const PAUSE_MS = 50

export type RoomDeletion = {
  roomId: RoomId
  /** The administrator who blocks the room; null: nobody, and it is not blocked. */
  by: UserId | null
  /** The creator of a room to which the members are moved, with the local aliases; null: there is none. */
  newRoomUserId: UserId | null
  roomName: string
  /** The first message in that room. */
  message: string
  /** Whether nobody can join the room again. */
  block: boolean
  /** Whether the room's data are deleted; otherwise only its local members are removed. */
  purge: boolean
  /** Whether they are deleted even if some local members could not be removed. */
  force: boolean
  /** Whether nothing is done if a local user is in the room, invited or knocking by then; default false. */
  unlessUsed?: boolean
}

const NOTHING: Progress = { ...nobodyMoved(), rows_deleted: 0 }
type Progress = Shutdown & { rows_deleted: number }

function nobodyMoved(): Shutdown {
  return { kicked_users: [], failed_to_kick_users: [], local_aliases: [], new_room_id: null }
}

/**
 * Begins a task that removes the local members of a room, and then all its data. The server need not know a room that
 * it blocks. Throws M_INVALID_PARAM and M_NOT_FOUND for the creator of the new room, and M_UNKNOWN if the room is being
 * deleted already.
 */
export async function deleteRoom(app: App, { roomId, by, ...how }: RoomDeletion): Promise<{ id: string; job: number }> {
  if (how.newRoomUserId !== null) await findLocalUser(app, how.newRoomUserId)
  const { newRoomUserId: new_room_user_id, roomName: room_name, message, purge, force, unlessUsed = false } = how
  const payload = { room_id: roomId, new_room_user_id, room_name, message, purge, force, unless_used: unlessUsed }
  const { taskId, job } = await startTask(
    app,
    { action: DELETE_ROOM, resourceId: roomId, payload },
    async (tx, now) => {
      if (await isTaskUnderWay(tx, DELETE_ROOM, roomId))
        throw new MatrixError(400, 'M_UNKNOWN', 'This room is being deleted already')
      if (how.block && by !== null) await insertRoomBlock(tx, { roomId, by, now })
    },
  )
  return { id: taskId, job }
}

/** As `deleteRoom`, and waits for the end. Throws M_UNKNOWN with the reason if the task failed. */
export async function deleteRoomNow(app: App, deletion: RoomDeletion, signal: AbortSignal): Promise<Shutdown> {
  const { id, job } = await deleteRoom(app, deletion)
  for (;;) {
    await app.jobs.attend(job)
    const task = await findTask(app.database, id)
    if (task?.status === 'complete') return shutdownOf(task)
    if (task?.status === 'failed') throw new MatrixError(400, 'M_UNKNOWN', task.error ?? 'The deletion failed')
    signal.throwIfAborted()
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
}

/** How far the deletion of a room is, in the form of Synapse's admin API. */
export type DeletionStatus = {
  delete_id: string
  room_id: string | null
  status: string
  shutdown_room: Shutdown
  error?: string
}

/** Returns how far a deletion is. Throws M_NOT_FOUND. */
export async function findDeletion({ database }: Pick<App, 'database'>, taskId: string): Promise<DeletionStatus> {
  const task = await findTask(database, taskId)
  if (task?.action !== DELETE_ROOM) throw new NotFoundError('There is no such deletion, or it ended long ago')
  return statusOf(task)
}

/** Returns how far the deletions of a room are. Throws M_NOT_FOUND if there are none. */
export async function listDeletions({ database }: Pick<App, 'database'>, roomId: RoomId): Promise<DeletionStatus[]> {
  const wanted = { action: DELETE_ROOM, resourceId: roomId, statuses: null, until: null }
  const tasks = await listTasks(database, wanted, MAX_TASKS)
  if (tasks.length === 0) throw new NotFoundError('This room was not deleted, or that ended long ago')
  return tasks.map(statusOf)
}

function statusOf(task: TaskRow): DeletionStatus {
  const { task_id, resource_id, status, error } = task
  const shutdown_room = shutdownOf(task)
  return { delete_id: task_id, room_id: resource_id, status, shutdown_room, ...(error !== null && { error }) }
}

function shutdownOf({ result }: TaskRow): Shutdown {
  const { kicked_users, failed_to_kick_users, local_aliases, new_room_id } = { ...NOTHING, ...JSON.parse(result) }
  return { kicked_users, failed_to_kick_users, local_aliases, new_room_id }
}

const payload = z.object({
  task_id: z.string(),
  room_id: z.string().refine(isRoomId),
  new_room_user_id: z.string().refine(isUserId).nullable(),
  room_name: z.string(),
  message: z.string(),
  purge: z.boolean(),
  force: z.boolean(),
  unless_used: z.boolean().default(false),
})

/** Runs the job of a deletion. Each step can run again, and goes on where the one before has ended. */
export async function runRoomDeletion(app: App, job: Json): Promise<void> {
  const { task_id: taskId, room_id: roomId, ...wanted } = payload.parse(job)
  const task = await findTask(app.database, taskId)
  // It had ended before the process died.
  if (!task || task.status === 'complete' || task.status === 'failed') return
  const progress: Progress = { ...NOTHING, ...JSON.parse(task.result) }
  const save = (tx: Tx, status: 'active' | 'complete' | 'failed' = 'active', error?: string) =>
    updateTask(tx, { taskId, status, result: progress, now: app.clock.now(), ...(error !== undefined && { error }) })
  await app.database.write((tx) => save(tx))
  const { new_room_user_id: creator, room_name: name, message } = wanted
  const replacement = creator === null ? undefined : { creator, name, message, key: taskId }
  const unlessUsed = wanted.unless_used
  try {
    if (!unlessUsed) await shutDownRoom(app, roomId, { replacement, shutdown: progress, save })
    if (wanted.purge && !wanted.force && !unlessUsed) await requireEmpty(app, roomId)
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error
    return app.database.write((tx) => save(tx, 'failed', error.message))
  }
  if (wanted.purge)
    await removeRoom(app, roomId, {
      unlessUsed,
      note: (tx, deleted) => {
        progress.rows_deleted += deleted
        return save(tx)
      },
    })
  await app.database.write((tx) => save(tx, 'complete'))
}

async function requireEmpty({ database }: Pick<App, 'database'>, roomId: RoomId): Promise<void> {
  if (!(await isRoomHere(database, roomId))) return
  const message = 'Users are still joined to this room. Use force_purge to delete it nevertheless.'
  throw new MatrixError(400, 'M_UNKNOWN', message)
}
