import sharp from 'sharp'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import type { ThumbnailSpec } from '../../infra/media/thumbnails.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { storedFiles } from '../../testing/stored-files.ts'
import { findLocalMedia } from './find-local-media.ts'
import { sweepMedia } from './sweep-media.ts'
import { thumbnailMedia } from './thumbnail-media.ts'
import { uploadMedia } from './upload-media.ts'

const SMALL: ThumbnailSpec = { width: 32, height: 32, method: 'crop', animated: false }

let app: TestApp
let renders: number
beforeAll(async () => {
  app = await createTestApp()
  const { render } = app.media.thumbnailer
  app.media.thumbnailer.render = (load, spec) => {
    renders++
    return render(load, spec)
  }
})
beforeEach(async () => {
  renders = 0
  await app.database.sql.deleteFrom('media').execute()
  await sweepMedia(app)
})
afterAll(() => app.close())

async function upload(content: Buffer) {
  async function* source(): AsyncGenerator<Buffer> {
    yield content
  }
  const name = await uploadMedia(app, {
    uploader: '@alice:hearth.test' as UserId,
    contentType: 'image/png',
    filename: undefined,
    source: source(),
  })
  return (await findLocalMedia(app, name, { timeoutMs: 0, signal: new AbortController().signal })).file
}

function png(width: number, height: number): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background: 'teal' } })
    .png()
    .toBuffer()
}

test('many who ask at once, and later, get one thumbnail', async () => {
  const file = await upload(await png(300, 200))
  const thumbnails = await Promise.all([1, 2, 3, 4].map(() => thumbnailMedia(app, file, SMALL)))
  thumbnails.push(await thumbnailMedia(app, file, { ...SMALL, width: 20, height: 20 }))
  expect(new Set(thumbnails.map(({ objectKey }) => objectKey)).size).toBe(1)
  expect(renders).toBe(1)
  expect(storedFiles(app)).toHaveLength(2)
  expect(thumbnails[0]!.etag).not.toBe(file.sha256)
})

test('processes that make the same thumbnail keep one', async () => {
  const file = await upload(await png(300, 200))
  const other = {
    ...app,
    media: { ...app.media, thumbnailsUnderWay: (_key: string, work: () => Promise<never>) => work() },
  }
  const thumbnails = await Promise.all(
    [app, other].map((process) => thumbnailMedia(process as typeof app, file, SMALL)),
  )
  expect(renders).toBe(2)
  expect(thumbnails[0]!.objectKey).toBe(thumbnails[1]!.objectKey)
  expect(storedFiles(app)).toHaveLength(2)
})

test('a small image is its own thumbnail, found out once', async () => {
  const file = await upload(await png(20, 20))
  for (let time = 0; time < 2; time++) {
    const thumbnail = await thumbnailMedia(app, file, SMALL)
    expect(thumbnail).toMatchObject({ objectKey: file.objectKey, size: file.size, contentType: 'image/png' })
  }
  expect(renders).toBe(1)
})

test('thumbnails go with their file', async () => {
  await thumbnailMedia(app, await upload(await png(300, 200)), SMALL)
  await app.database.sql.deleteFrom('media').execute()
  await sweepMedia(app)
  expect(storedFiles(app)).toEqual([])
})

test('a file that is no image has none', async () => {
  const file = await upload(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'))
  await expect(thumbnailMedia(app, file, SMALL)).rejects.toMatchObject({ status: 400, errcode: 'M_UNKNOWN' })
  expect(renders).toBe(0)
})
