import { afterAll, beforeAll, expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { storedFiles } from '../../testing/stored-files.ts'
import { deleteLocalMedia } from './delete-media.ts'
import { reserveMedia } from './reserve-media.ts'
import { uploadMedia, uploadReservedMedia } from './upload-media.ts'

/** Error of MSC4335: https://github.com/matrix-org/matrix-spec-proposals/pull/4335 */
const exceeded = { status: 403, errcode: 'M_USER_LIMIT_EXCEEDED' }
const MIB = 1024 ** 2
const HOUR_MS = 3_600_000

let app: TestApp
beforeAll(async () => {
  const page = { info_uri: 'https://example.org/storage', can_upgrade: true }
  const upload_limits = [
    { time_period: '1h', max_size: 100 },
    { max_size: 250, ...page },
  ]
  app = await createTestApp({ config: { media: { upload_limits } } })
})
afterAll(() => app.close())

let uploads = 0
function upload(name: string, size: number, more: { announcedSize?: number; isLimited?: boolean } = {}) {
  async function* source(): AsyncGenerator<Buffer> {
    yield Buffer.from(String(uploads++).padEnd(size, '.'))
  }
  return {
    uploader: `@${name}:hearth.test` as UserId,
    contentType: undefined,
    filename: undefined,
    ...more,
    source: source(),
  }
}

test('a period, the total, and deletion count', async () => {
  const send = (size: number) => uploadMedia(app, upload('alice', size))
  const first = await send(60)
  const { reason } = (await Promise.allSettled([send(41)]))[0] as PromiseRejectedResult
  expect(reason).toMatchObject({ ...exceeded, message: 'You can upload 100 bytes within 60 minutes. Try again later.' })
  expect(reason.extra).toEqual({ info_uri: expect.stringMatching(/^https?:.*\/account\/uploads$/) })
  await send(40)
  app.clock.advance(HOUR_MS + 1)
  await send(100)
  app.clock.advance(HOUR_MS + 1)
  await expect(send(51)).rejects.toMatchObject({
    ...exceeded,
    extra: { info_uri: 'https://example.org/storage', can_upgrade: true },
  })
  await deleteLocalMedia(app, [first.mediaId])
  await send(51)
})

test('of parallel uploads, only as many are stored as fit; nothing of the others stays', async () => {
  const before = storedFiles(app).length
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => uploadMedia(app, upload('bob', 30))))
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
  for (const result of results) if (result.status === 'rejected') expect(result.reason).toMatchObject(exceeded)
  expect(storedFiles(app)).toHaveLength(before + 3)
})

test('reserved uploads count when they arrive, also if they were reserved before the period', async () => {
  const { name } = await reserveMedia(app, '@carol:hearth.test' as UserId)
  app.clock.advance(2 * HOUR_MS)
  await uploadReservedMedia(app, name, upload('carol', 90))
  await expect(uploadMedia(app, upload('carol', 20))).rejects.toMatchObject(exceeded)
  const { name: second } = await reserveMedia(app, '@carol:hearth.test' as UserId)
  await expect(uploadReservedMedia(app, second, upload('carol', 20))).rejects.toMatchObject(exceeded)
})

test('a large upload is refused before it is read, and exempt users are not limited', async () => {
  const large = upload('dave', 10, { announcedSize: 2 * MIB })
  await expect(uploadMedia(app, large)).rejects.toMatchObject(exceeded)
  expect((await large.source.next()).done).toBe(false)
  await uploadMedia(app, upload('dave', 500, { isLimited: false }))
})
