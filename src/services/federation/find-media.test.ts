import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ServerName, UserId } from '../../core/ids.ts'
import { insertRemoteMedia } from '../../storage/remote-media.ts'
import { storeFile } from '../media/store-file.ts'
import { sweepMedia } from '../media/sweep-media.ts'
import { createMediaTestApp } from '../media/test-media-app.ts'
import { uploadMedia } from '../media/upload-media.ts'
import { findMedia } from './find-media.ts'

let world: Awaited<ReturnType<typeof createMediaTestApp>>
beforeAll(async () => {
  world = await createMediaTestApp()
})
afterAll(() => world.close())

async function* once(content: string): AsyncGenerator<Buffer> {
  yield Buffer.from(content)
}

test('files of other servers go when nobody has asked for them for long', async () => {
  const name = { serverName: 'elsewhere.test' as ServerName, mediaId: 'abc' }
  const store = () =>
    storeFile(world.app, once('remote'), (tx, sha256) =>
      insertRemoteMedia(tx, { ...name, contentType: 'text/plain', filename: null, sha256, now: world.clock.now() }),
    )
  const look = () =>
    findMedia(world.app, name, { timeoutMs: 0, signal: new AbortController().signal, allowRemote: false })
  await store()
  await uploadMedia(world.app, {
    uploader: '@alice:hearth.test' as UserId,
    contentType: undefined,
    filename: undefined,
    source: once('ours'),
  })
  const half = world.app.config.media.remote_cache_lifetime / 2
  world.clock.advance(half)
  expect((await look()).file.size).toBe(6)
  world.clock.advance(half + 1)
  await sweepMedia(world.app)
  expect((await look()).file.size).toBe(6)
  world.clock.advance(2 * half + 1)
  await sweepMedia(world.app)
  await expect(look()).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' })
  expect(world.files()).toHaveLength(1)
})
