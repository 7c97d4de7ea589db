import { existsSync } from 'node:fs'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDiskStore } from '../../infra/object-store/disk.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { storedFiles } from '../../testing/stored-files.ts'
import { checkMediaStore } from './check-media-store.ts'

let app: TestApp
let elsewhere: TestApp
let logged: string[] = []
beforeAll(async () => {
  app = await createTestApp({ logger: pino({ level: 'error' }, { write: (line) => logged.push(line) }) })
  elsewhere = await createTestApp()
})
afterAll(() => Promise.all([app.close(), elsewhere.close()]))

test('processes that start at once find one mark in a shared folder, and none in another', async () => {
  expect(await Promise.all([1, 2, 3].map(() => checkMediaStore(app, 'disk')))).toEqual([true, true, true])
  expect(storedFiles(app)).toHaveLength(1)
  const stranger = { ...app, media: elsewhere.media }
  expect(await checkMediaStore(stranger, 'disk')).toBe(false)
  expect(existsSync(elsewhere.config.media.storage_dir)).toBe(false)
})

test('the store that does not get new files is checked while it has some', async () => {
  logged = []
  const bucket = createDiskStore(elsewhere.config.media.storage_dir)
  const stores = { ...app.media.stores, s3: bucket }
  expect(await checkMediaStore({ ...app, media: { ...app.media, stores } }, 's3')).toBe(false)
  expect([logged, existsSync(elsewhere.config.media.storage_dir)]).toEqual([[], false])
  const file = { sha256: 'a', size: 1, object_key: 'object', store: 's3', detected_type: null, created_ts: 0 } as const
  await app.database.sql.insertInto('media_files').values(file).execute()
  expect(await checkMediaStore(app, 's3')).toBe(false)
  expect(logged.join()).toContain('Files of this server are in a bucket, but media.s3.bucket is not set')
  expect(await checkMediaStore({ ...app, media: { ...app.media, stores } }, 's3')).toBe(true)
})
