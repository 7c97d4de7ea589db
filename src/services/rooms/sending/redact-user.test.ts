import { afterAll, beforeAll, expect, test } from 'vitest'
import type { UserId } from '../../../core/ids.ts'
import type { Json } from '../../../core/pdu.ts'
import { beginTask, findTask } from '../../../storage/jobs/tasks.ts'
import { startClientApi, type TestClient } from '../../../testing/client-api.ts'
import { REDACT_USER, runUserRedaction } from './redact-user.ts'
import { sendEvent } from './send-event.ts'

let api: Awaited<ReturnType<typeof startClientApi>>
let alice: TestClient
beforeAll(async () => {
  api = await startClientApi()
  alice = await api.client('alice')
})
afterAll(() => api.close())

test('a redaction that is interrupted goes on when its job runs again', async () => {
  const { app } = api
  const rooms = [await alice.createRoom(), await alice.createRoom()]
  const sender = alice.userId
  const send = (body: number) =>
    sendEvent(app, { roomId: rooms[body % 2]!, sender, type: 'm.room.message', content: { body: `${body}` } })
  for (let body = 0; body < 6; body++) await send(body)
  const by = '@admin:hearth.test' as UserId
  const how = { reason: null, limit: 1000, as_admin: false, before_ts: null, after_ts: null }
  const payload: Record<string, Json> = { user_id: sender, by, rooms, ...how }
  const task = { taskId: 'one', action: REDACT_USER, resourceId: sender }
  const resultOf = async () => JSON.parse((await findTask(app.database, 'one'))!.result)
  // The process stops after it has begun with the first room.
  const stopping = new AbortController()
  const write: typeof app.database.write = async (work) => {
    const result = await app.database.write(work)
    if ((await resultOf()).redacted > 0) stopping.abort(new Error('the server stops'))
    return result
  }
  await app.database.write((tx) => beginTask(tx, { ...task, payload, now: app.clock.now() + 60_000 }))
  const interrupted = { ...app, database: { ...app.database, write }, stopping: stopping.signal }
  await expect(runUserRedaction(interrupted, { ...payload, task_id: 'one' })).rejects.toThrow('the server stops')
  expect(await findTask(app.database, 'one')).toMatchObject({ status: 'active' })

  await runUserRedaction(app, { ...payload, task_id: 'one' })
  expect(await findTask(app.database, 'one')).toMatchObject({ status: 'complete', error: null })
  expect(await resultOf()).toMatchObject({ rooms_left: 0, failed_redactions: {} })
  const redactions = await app.database.sql
    .selectFrom('events')
    .select(['event_id'])
    .where('type', '=', 'm.room.redaction')
    .execute()
  // Six messages and the joins of two rooms, none of them twice.
  expect(redactions).toHaveLength(8)
})
