import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import { stageFile } from '../../infra/object-store/staged-file.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { storedFiles } from '../../testing/stored-files.ts'
import { putObject } from './objects.ts'
import { reserveMedia } from './reserve-media.ts'
import { storeFile } from './store-file.ts'
import { sweepMedia } from './sweep-media.ts'
import { uploadMedia } from './upload-media.ts'

const HOUR_MS = 3_600_000
const alice = '@alice:hearth.test' as UserId

let app: TestApp
beforeAll(async () => {
  app = await createTestApp()
})
beforeEach(async () => {
  await app.database.sql.deleteFrom('media').execute()
  await sweepMedia(app)
})
afterAll(() => app.close())

async function* once(content: string): AsyncGenerator<Buffer> {
  yield Buffer.from(content)
}

function upload(content: string) {
  return uploadMedia(app, { uploader: alice, contentType: undefined, filename: undefined, source: once(content) })
}

test('files that a crash left without a database row are deleted after an hour', async () => {
  await upload('kept')
  await putObject(app, await stageFile(app.media.objects.stagingFolder, once('orphan'), 100))
  await sweepMedia(app)
  expect(storedFiles(app)).toHaveLength(2)
  app.clock.advance(HOUR_MS + 1)
  await sweepMedia(app)
  expect(storedFiles(app)).toHaveLength(1)
  expect(await app.database.sql.selectFrom('pending_objects').selectAll().execute()).toEqual([])
})

test('an upload whose record fails is undone', async () => {
  const failing = storeFile(app, once('content'), async () => {
    throw new Error('no')
  })
  await expect(failing).rejects.toThrow('no')
  app.clock.advance(HOUR_MS + 1)
  await sweepMedia(app)
  expect(storedFiles(app)).toEqual([])
})

test('a file goes with the last medium that has it', async () => {
  const [first, second] = [await upload('shared'), await upload('shared')]
  const forget = (mediaId: string) => app.database.sql.deleteFrom('media').where('media_id', '=', mediaId).execute()
  await forget(first.mediaId)
  await sweepMedia(app)
  expect(storedFiles(app)).toHaveLength(1)
  await forget(second.mediaId)
  await sweepMedia(app)
  expect(storedFiles(app)).toEqual([])
  await upload('shared')
  expect(storedFiles(app)).toHaveLength(1)
})

test('expired reservations are forgotten', async () => {
  await reserveMedia(app, alice)
  await sweepMedia(app)
  const reserved = () => app.database.sql.selectFrom('media').selectAll().execute()
  expect(await reserved()).toHaveLength(1)
  app.clock.advance(app.config.media.async_upload_expiry)
  await sweepMedia(app)
  expect(await reserved()).toEqual([])
})
