import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import sharp from 'sharp'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import type { ThumbnailSpec } from '../../infra/media/thumbnails.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { storedFiles } from '../../testing/stored-files.ts'
import { findLocalMedia } from './find-local-media.ts'
import { openFile } from './open-file.ts'
import { sweepMedia } from './sweep-media.ts'
import { type Thumbnail, thumbnailMedia } from './thumbnail-media.ts'
import { uploadMedia } from './upload-media.ts'
import { grabPoster } from './video-poster.ts'

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

/** The beginning of an MP4 file; the program that the tests run as ffmpeg does not look at it. */
function mp4(content: string): Buffer {
  return Buffer.concat([
    Buffer.from('0000001866747970', 'hex'),
    Buffer.from('isom\0\0\0\0isommp41'),
    Buffer.from(content),
  ])
}

async function withProgram(script: string): Promise<void> {
  const { storage_dir: folder } = app.config.media
  const path = join(dirname(folder), 'ffmpeg')
  writeFileSync(
    join(dirname(folder), 'frame'),
    await sharp(await png(300, 200))
      .jpeg()
      .toBuffer(),
  )
  writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o700 })
  app.config.media.ffmpeg = path
}

test('a video has none unless ffmpeg is configured; then of its first frame, also if that is small', async () => {
  const file = await upload(mp4('video'))
  await expect(thumbnailMedia(app, file, SMALL)).rejects.toMatchObject({ status: 400, errcode: 'M_UNKNOWN' })
  await withProgram('exec cat "$(dirname "$0")/frame"')
  const [cropped, whole] = [
    await thumbnailMedia(app, file, { ...SMALL, animated: true }),
    await thumbnailMedia(app, file, { width: 800, height: 600, method: 'scale', animated: false }),
  ]
  expect([await sizeOf(cropped), await sizeOf(whole)]).toEqual([
    [32, 32],
    [300, 200],
  ])
  expect([cropped.contentType, whole.contentType]).toEqual(['image/jpeg', 'image/jpeg'])
  expect(storedFiles(app)).toHaveLength(3)
})

test('a video that ffmpeg cannot read is tried once', async () => {
  const file = await upload(mp4('broken'))
  await withProgram('exit 1')
  const failure = { status: 400, errcode: 'M_UNKNOWN' }
  await expect(thumbnailMedia(app, file, SMALL)).rejects.toMatchObject(failure)
  await withProgram('exec cat "$(dirname "$0")/frame"')
  await expect(thumbnailMedia(app, file, SMALL)).rejects.toMatchObject(failure)
  expect(renders).toBe(0)
  expect(storedFiles(app)).toHaveLength(1)
})

test('one video at a time, and only so many wait', async () => {
  const file = await upload(mp4('one of many'))
  const { turns, failed } = app.media.posters
  failed.set(file.sha256, true)
  const { promise: occupied, resolve: release } = Promise.withResolvers<void>()
  const occupying = turns('ffmpeg', () => occupied)
  const posters = Array.from({ length: 102 }, () => grabPoster(app, file).catch(({ errcode }) => errcode))
  release()
  await occupying
  const tooMany = ['M_LIMIT_EXCEEDED', 'M_LIMIT_EXCEEDED']
  expect(await Promise.all(posters)).toEqual([...Array.from({ length: 100 }, () => 'M_UNKNOWN'), ...tooMany])
})

async function sizeOf({ objectKey }: Thumbnail): Promise<[number, number]> {
  const { width, height } = await sharp(await buffer(await openFile(app, objectKey))).metadata()
  return [width, height]
}
