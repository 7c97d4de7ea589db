import { Readable } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { UserId } from '../../../core/ids.ts'
import { createTestApp, type TestApp } from '../../../testing/create-test-app.ts'
import { findLocalMedia } from '../find-local-media.ts'
import { uploadMedia } from '../upload-media.ts'
import { continueMediaWork, deleteCopies, deleteUploads, quarantineRoom, quarantineUser } from './resumable-work.ts'

const admin = '@admin:hearth.test' as UserId
let app: TestApp
beforeAll(async () => {
  app = await createTestApp()
})
afterAll(() => app.close())

const jobs = () => app.database.sql.selectFrom('jobs').selectAll().execute()

test('work that ends leaves no job', async () => {
  await quarantineUser(app, '@nobody:hearth.test' as UserId, admin)
  await quarantineRoom(app, '!nowhere:hearth.test' as never, admin)
  await deleteUploads(app, { before: 1, sizeAbove: 0, keepAvatars: true })
  await deleteCopies(app, 1)
  expect(await jobs()).toEqual([])
  const tasks = await app.database.sql.selectFrom('tasks').select(['action', 'status', 'resource_id']).execute()
  const work = { action: 'media_work', status: 'complete' }
  expect(tasks).toEqual(
    expect.arrayContaining([
      { ...work, resource_id: '@nobody:hearth.test' },
      { ...work, resource_id: '!nowhere:hearth.test' },
      { ...work, resource_id: null },
    ]),
  )
})

test('work that does not end is continued by its job', async () => {
  const uploader = '@alice:hearth.test' as UserId
  const source = Readable.from([Buffer.from('a file')])
  const name = await uploadMedia(app, { uploader, contentType: undefined, filename: undefined, source })
  const stopping = AbortSignal.abort(new Error('stopping'))
  await expect(
    deleteUploads({ ...app, stopping }, { before: app.clock.now() + 1, sizeAbove: 0, keepAvatars: true }),
  ).rejects.toThrow('stopping')
  await quarantineUser({ ...app, stopping }, uploader, admin).catch(() => {})
  const left = await jobs()
  expect(left.map(({ due_ts }) => due_ts > app.clock.now())).toEqual([true, true])
  const find = () => findLocalMedia(app, name, { timeoutMs: 0, signal: new AbortController().signal })
  await find()
  for (const { payload } of left) await continueMediaWork(app, JSON.parse(payload))
  await expect(find()).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' })
  expect(await app.database.sql.selectFrom('media').selectAll().execute()).toEqual([])
})
