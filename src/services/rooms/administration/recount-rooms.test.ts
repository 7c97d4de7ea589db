import { sql } from 'kysely'
import { expect, onTestFinished, test } from 'vitest'
import { pollUntil } from '../../../../testing/poll-until.ts'
import { adminEndpoints } from '../../../api/admin-endpoints.ts'
import { roomEndpoints } from '../../../api/client/room-endpoints.ts'
import type { RoomId } from '../../../core/ids.ts'
import { beginTask, findTask, updateTask } from '../../../storage/jobs/tasks.ts'
import { findRoom } from '../../../storage/rooms/room-summary.ts'
import { startClientApi } from '../../../testing/client-api.ts'
import { RECOUNT_ROOMS, runRecount } from './recount-rooms.ts'

const path = '/../../../_synapse/admin/v1'

async function setUp() {
  const api = await startClientApi({ endpoints: [...roomEndpoints, ...adminEndpoints] })
  onTestFinished(() => api.close())
  const admin = await api.client('admin', { admin: true })
  const rooms = [await admin.createRoom(), await admin.createRoom({ topic: 'Tea' })].sort() as [RoomId, RoomId]
  const { database } = api.app
  const right = await Promise.all(rooms.map((roomId) => findRoom(database, roomId)))
  await sql`update rooms set joined_members = 7, joined_local_members = 7, member_events = 7, other_state_events = 7`.execute(
    database.sql,
  )
  const counted = async () => Promise.all(rooms.map((roomId) => findRoom(database, roomId)))
  return { ...api, admin, rooms, right, counted }
}

test('the job that counts rooms again restores their counts, as a task', async () => {
  const { app, admin, right, counted } = await setUp()
  expect(await admin.ok('POST', `${path}/background_updates/start_job`, { job_name: RECOUNT_ROOMS })).toEqual({})
  const [task] = await pollUntil('the task ends', async () => {
    const { scheduled_tasks: tasks } = await admin.ok('GET', `${path}/scheduled_tasks?action_name=${RECOUNT_ROOMS}`)
    return tasks[0].status === 'complete' && tasks
  })
  expect(task).toMatchObject({ result: { recounted: 2 }, error: null })
  expect(await counted()).toEqual(right)
  const second = { taskId: 'second', action: RECOUNT_ROOMS, resourceId: null, payload: {}, now: app.clock.now() }
  await app.database.write((tx) => beginTask(tx, second))
  await runRecount(app, { task_id: 'second' })
  expect(JSON.parse((await findTask(app.database, 'second'))!.result)).toMatchObject({ recounted: 2 })
  for (const name of ['regenerate_directory', 'event_resign'])
    expect(await admin.ask('POST', `${path}/background_updates/start_job`, { job_name: name })).toMatchObject({
      ...{ status: 400, body: { errcode: 'M_INVALID_PARAM' } },
    })
  const unknown = await admin.ask('POST', `${path}/background_updates/start_job`, { job_name: 'other' })
  expect(unknown).toMatchObject({ status: 400, body: { errcode: 'M_BAD_JSON' } })
})

test('after a restart it goes on where it was, and a second one is refused meanwhile', async () => {
  const { app, admin, rooms, right, counted } = await setUp()
  const task = { taskId: 'task', action: RECOUNT_ROOMS, resourceId: app.serverName, payload: {}, now: app.clock.now() }
  await app.database.write(async (tx) => {
    await beginTask(tx, task)
    const result = { recounted: 1, last_room: rooms[0] }
    await updateTask(tx, { taskId: 'task', status: 'active', result, now: app.clock.now() })
  })
  const again = await admin.ask('POST', `${path}/background_updates/start_job`, { job_name: RECOUNT_ROOMS })
  expect(again).toMatchObject({ status: 400 })
  await runRecount(app, { task_id: 'task' })
  const [first, second] = await counted()
  expect(first).toMatchObject({ joined_members: 7, other_state_events: 7 })
  expect(second).toEqual(right[1])
})
