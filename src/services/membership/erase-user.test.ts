import { sql } from 'kysely'
import { expect, onTestFinished, test } from 'vitest'
import type { App } from '../../app.ts'
import { createTestApp } from '../../testing/create-test-app.ts'
import { ALICE } from '../../testing/reading-room.ts'
import { eraseUser, LEAVE_ALL_ROOMS } from '../users/deactivate.ts'
import { findErasure, runErasure } from './erase-user.ts'

const FILES = 150

test('an erasure ends when the account is active again: the account keeps the files that are left', async () => {
  const app = await createTestApp({ users: [ALICE] })
  onTestFinished(() => app.close())
  await sql`insert into media (server_name, media_id, uploader, content_type, created_ts)
    select ${app.serverName}, 'file' || n, ${ALICE}, 'text/plain', 0 from generate_series(1, ${FILES}::int) as n`.execute(
    app.database.sql,
  )
  const filesLeft = async () =>
    (await sql`select 1 from media where uploader = ${ALICE}`.execute(app.database.sql)).rows.length
  const { taskId } = await eraseUser(app, { userId: ALICE, redaction: null })
  const job = { task_id: taskId, user_id: ALICE, redaction: null }
  // Another process makes the account active again after the first files are deleted.
  const write: App['database']['write'] = async (work) => {
    const result = await app.database.write(work)
    if ((await filesLeft()) < FILES)
      await sql`update users set deactivated_ts = null where user_id = ${ALICE}`.execute(app.database.sql)
    return result
  }
  await runErasure({ ...app, database: { ...app.database, write } }, job)
  const left = await filesLeft()
  expect(left).toBeGreaterThan(0)
  const report = { media_deleted: FILES - left, rooms_left: 0 }
  expect(await findErasure(app, ALICE)).toMatchObject({ status: 'cancelled', report })
  const { rows } = await sql`select 1 from jobs where kind = ${LEAVE_ALL_ROOMS}`.execute(app.database.sql)
  expect(rows).toEqual([])
  // Erased again, the rest goes.
  await sql`update users set deactivated_ts = 1 where user_id = ${ALICE}`.execute(app.database.sql)
  await runErasure(app, job)
  expect(await filesLeft()).toBe(0)
  expect(await findErasure(app, ALICE)).toMatchObject({ status: 'complete', report: { media_deleted: FILES } })
})
