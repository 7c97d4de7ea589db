import { z } from 'zod'
import type { App } from '../../../app.ts'
import { InvalidParamError } from '../../../core/errors.ts'
import type { RoomId } from '../../../core/ids.ts'
import type { Json } from '../../../core/pdu.ts'
import { startTask } from '../../../infra/concurrency/start-task.ts'
import { findTask, isTaskUnderWay, updateTask } from '../../../storage/jobs/tasks.ts'
import { recountMembers } from '../../../storage/rooms/membership/joined-room-members.ts'
import { loadRoomsAfter, updateOtherStateCount } from '../../../storage/rooms/room-counts.ts'
import { headOf, overlayOf } from '../../../storage/rooms/timeline/locked-room.ts'
import { readStateNids } from '../../../storage/rooms/timeline/room-state.ts'

/** The task and job that counts the members and the state of all rooms again. */
export const RECOUNT_ROOMS = 'populate_stats_process_rooms'

const PAGE = 100

const payload = z.object({ task_id: z.string() })
/** How far it is: rooms in the order of their IDs. */
const progress = z.object({ recounted: z.int(), last_room: z.string() }).catch(() => ({ recounted: 0, last_room: '' }))

/** Begins a task that counts all rooms again. Throws M_INVALID_PARAM if one has not ended. */
export async function recountRooms(app: App): Promise<void> {
  await startTask(app, { action: RECOUNT_ROOMS, resourceId: app.serverName, payload: {} }, async (tx) => {
    if (await isTaskUnderWay(tx, RECOUNT_ROOMS, app.serverName))
      throw new InvalidParamError('This job is under way already. See scheduled_tasks.')
  })
}

/** Runs the job. After a restart it goes on behind the rooms that it has counted. */
export async function runRecount(app: App, job: Json): Promise<void> {
  const { task_id: taskId } = payload.parse(job)
  const task = await findTask(app.database, taskId)
  const done = progress.parse(JSON.parse(task?.result ?? '{}'))
  const save = (status: 'active' | 'complete') =>
    app.database.write((tx) => updateTask(tx, { taskId, status, result: done, now: app.clock.now() }))
  await save('active')
  for (;;) {
    app.stopping.throwIfAborted()
    const rooms = await loadRoomsAfter(app.database, done.last_room, PAGE)
    for (const roomId of rooms) await recountRoom(app, roomId)
    const last = rooms.at(-1)
    if (last === undefined) break
    done.recounted += rooms.length
    done.last_room = last
    await save('active')
  }
  await save('complete')
}

/** With the room locked, so that no change comes between counting and storing. */
async function recountRoom(app: Pick<App, 'rooms' | 'serverName'>, roomId: RoomId): Promise<void> {
  await app.rooms.run(roomId, async (room) => {
    room.writes.push(async (tx) => {
      if (!room.head) return
      const others = await readStateNids(tx, headOf(room).state_root, 'rest', overlayOf(room))
      await recountMembers(tx, app.serverName, roomId)
      await updateOtherStateCount(tx, roomId, others.length)
    })
  })
}
