import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestApp, START, type TestApp } from '../../testing/create-test-app.ts'
import { beginTask, findTask, listTasks, updateTask } from './tasks.ts'

let app: TestApp
beforeAll(async () => {
  app = await createTestApp()
})
afterAll(() => app.close())

const DAY_MS = 24 * 60 * 60_000
const begin = (taskId: string, now = START) =>
  app.database.write((tx) => beginTask(tx, { taskId, action: 'test', resourceId: '!a:b', payload: { x: 1 }, now }))
const update = (taskId: string, status: 'active' | 'complete', now = START) =>
  app.database.write((tx) => updateTask(tx, { taskId, status, result: { done: 5 }, now }))
const idsOf = async (statuses: string[] | null, until: number | null = null) => {
  const found = await listTasks(app.database, { action: 'test', resourceId: '!a:b', statuses, until }, 10)
  return found.map(({ task_id }) => task_id)
}

test('a task is scheduled with a job, active while it runs, and failed once its job is dropped', async () => {
  const job = await begin('one')
  expect(await findTask(app.database, 'one')).toMatchObject({ status: 'scheduled', resource_id: '!a:b', error: null })
  const { rows } = await sql<{ payload: string }>`select payload from jobs where job_nid = ${job}::bigint`.execute(
    app.database.sql,
  )
  expect(JSON.parse(rows[0]!.payload)).toEqual({ x: 1, task_id: 'one' })
  await update('one', 'active')
  expect(await findTask(app.database, 'one')).toMatchObject({ status: 'active', result: '{"done":5}' })
  await app.database.write((tx) => sql`delete from jobs`.execute(tx.sql))
  expect(await findTask(app.database, 'one')).toMatchObject({ status: 'failed', error: expect.any(String) })
  expect(await idsOf(['failed'])).toEqual(['one'])
  expect(await idsOf(['active'])).toEqual([])
})

test('tasks that ended are kept for a week, and those with a job for longer', async () => {
  await begin('ended')
  await update('ended', 'complete')
  await app.database.write((tx) => sql`delete from jobs`.execute(tx.sql))
  await begin('waiting')
  await begin('later', START + 6 * DAY_MS)
  expect(await idsOf(null)).toEqual(['later', 'ended', 'one', 'waiting'])
  expect(await idsOf(null, START)).toEqual(['ended', 'one', 'waiting'])
  await begin('last', START + 8 * DAY_MS)
  expect(await idsOf(null)).toEqual(['last', 'later', 'waiting'])
})
