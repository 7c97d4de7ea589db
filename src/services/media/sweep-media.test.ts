import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import { stageFile } from '../../infra/object-store/staged-file.ts'
import { createMediaTestApp } from '../../testing/media-app.ts'
import { putObject } from './objects.ts'
import { reserveMedia } from './reserve-media.ts'
import { storeFile } from './store-file.ts'
import { sweepMedia } from './sweep-media.ts'
import { uploadMedia } from './upload-media.ts'

const HOUR_MS = 3_600_000
const alice = '@alice:hearth.test' as UserId

let world: Awaited<ReturnType<typeof createMediaTestApp>>
beforeAll(async () => {
  world = await createMediaTestApp()
})
beforeEach(async () => {
  await world.app.database.sql.deleteFrom('media').execute()
  await sweepMedia(world.app)
})
afterAll(() => world.close())

async function* once(content: string): AsyncGenerator<Buffer> {
  yield Buffer.from(content)
}

function upload(content: string) {
  return uploadMedia(world.app, { uploader: alice, contentType: undefined, filename: undefined, source: once(content) })
}

test('what a crash left between store and database goes after an hour', async () => {
  await upload('kept')
  await putObject(world.app, await stageFile(world.app.media.objects.stagingFolder, once('orphan'), 100))
  await sweepMedia(world.app)
  expect(world.files()).toHaveLength(2)
  world.clock.advance(HOUR_MS + 1)
  await sweepMedia(world.app)
  expect(world.files()).toHaveLength(1)
  expect(await world.app.database.sql.selectFrom('unclaimed_objects').selectAll().execute()).toEqual([])
})

test('an upload whose record fails is undone', async () => {
  const failing = storeFile(world.app, once('content'), async () => {
    throw new Error('no')
  })
  await expect(failing).rejects.toThrow('no')
  world.clock.advance(HOUR_MS + 1)
  await sweepMedia(world.app)
  expect(world.files()).toEqual([])
})

test('a file goes with the last medium that has it', async () => {
  const [first, second] = [await upload('shared'), await upload('shared')]
  const forget = (mediaId: string) =>
    world.app.database.sql.deleteFrom('media').where('media_id', '=', mediaId).execute()
  await forget(first.mediaId)
  await sweepMedia(world.app)
  expect(world.files()).toHaveLength(1)
  await forget(second.mediaId)
  await sweepMedia(world.app)
  expect(world.files()).toEqual([])
  await upload('shared')
  expect(world.files()).toHaveLength(1)
})

test('expired reservations are forgotten', async () => {
  await reserveMedia(world.app, alice)
  await sweepMedia(world.app)
  const reserved = () => world.app.database.sql.selectFrom('media').selectAll().execute()
  expect(await reserved()).toHaveLength(1)
  world.clock.advance(world.app.config.media.async_upload_expiry)
  await sweepMedia(world.app)
  expect(await reserved()).toEqual([])
})
