import sharp from 'sharp'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import type { ThumbnailSpec } from '../../infra/media/thumbnails.ts'
import { createMediaTestApp } from '../../testing/media-app.ts'
import { findLocalMedia } from './find-local-media.ts'
import { sweepMedia } from './sweep-media.ts'
import { thumbnailMedia } from './thumbnail-media.ts'
import { uploadMedia } from './upload-media.ts'

const SMALL: ThumbnailSpec = { width: 32, height: 32, method: 'crop', animated: false }

let world: Awaited<ReturnType<typeof createMediaTestApp>>
let renders: number
beforeAll(async () => {
  world = await createMediaTestApp()
  const { render } = world.app.media.thumbnailer
  world.app.media.thumbnailer.render = (load, spec) => {
    renders++
    return render(load, spec)
  }
})
beforeEach(async () => {
  renders = 0
  await world.app.database.sql.deleteFrom('media').execute()
  await sweepMedia(world.app)
})
afterAll(() => world.close())

async function upload(content: Buffer) {
  async function* source(): AsyncGenerator<Buffer> {
    yield content
  }
  const name = await uploadMedia(world.app, {
    uploader: '@alice:hearth.test' as UserId,
    contentType: 'image/png',
    filename: undefined,
    source: source(),
  })
  return (await findLocalMedia(world.app, name, { timeoutMs: 0, signal: new AbortController().signal })).file
}

function png(width: number, height: number): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background: 'teal' } })
    .png()
    .toBuffer()
}

test('many who ask at once, and later, get one thumbnail', async () => {
  const file = await upload(await png(300, 200))
  const thumbnails = await Promise.all([1, 2, 3, 4].map(() => thumbnailMedia(world.app, file, SMALL)))
  thumbnails.push(await thumbnailMedia(world.app, file, { ...SMALL, width: 20, height: 20 }))
  expect(new Set(thumbnails.map(({ objectKey }) => objectKey)).size).toBe(1)
  expect(renders).toBe(1)
  expect(world.files()).toHaveLength(2)
  expect(thumbnails[0]!.etag).not.toBe(file.sha256)
})

test('processes that make the same thumbnail keep one', async () => {
  const file = await upload(await png(300, 200))
  const other = {
    ...world.app,
    media: { ...world.app.media, thumbnailsUnderWay: (_key: string, work: () => Promise<never>) => work() },
  }
  const thumbnails = await Promise.all(
    [world.app, other].map((app) => thumbnailMedia(app as typeof world.app, file, SMALL)),
  )
  expect(renders).toBe(2)
  expect(thumbnails[0]!.objectKey).toBe(thumbnails[1]!.objectKey)
  expect(world.files()).toHaveLength(2)
})

test('a small image is its own thumbnail, found out once', async () => {
  const file = await upload(await png(20, 20))
  for (let time = 0; time < 2; time++) {
    const thumbnail = await thumbnailMedia(world.app, file, SMALL)
    expect(thumbnail).toMatchObject({ objectKey: file.objectKey, size: file.size, contentType: 'image/png' })
  }
  expect(renders).toBe(1)
})

test('thumbnails go with their file', async () => {
  await thumbnailMedia(world.app, await upload(await png(300, 200)), SMALL)
  await world.app.database.sql.deleteFrom('media').execute()
  await sweepMedia(world.app)
  expect(world.files()).toEqual([])
})

test('what is no image has none', async () => {
  const file = await upload(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'))
  await expect(thumbnailMedia(world.app, file, SMALL)).rejects.toMatchObject({ status: 400, errcode: 'M_UNKNOWN' })
  expect(renders).toBe(0)
})
