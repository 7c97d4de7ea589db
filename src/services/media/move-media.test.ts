import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import sharp from 'sharp'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { App } from '../../app.ts'
import type { MediaName } from '../../core/content-uri.ts'
import type { UserId } from '../../core/ids.ts'
import { createDiskStore } from '../../infra/object-store/disk.ts'
import type { ObjectStore } from '../../infra/object-store/object-store.ts'
import type { ObjectStores } from '../../infra/object-store/object-stores.ts'
import { countObjectsIn } from '../../storage/media/stored-objects.ts'
import type { StoreName } from '../../storage/schema/media.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { findLocalMedia } from './find-local-media.ts'
import { createMediaStore } from './media-store.ts'
import { moveMedia } from './move-media.ts'
import { openFile } from './open-file.ts'
import { sweepMedia } from './sweep-media.ts'
import { thumbnailMedia } from './thumbnail-media.ts'
import { uploadMedia } from './upload-media.ts'

const alice = '@alice:hearth.test' as UserId
const TO_BUCKET = { from: 'disk', to: 's3' } as const
const HOUR_MS = 3_600_000

/** A server of which one process stores new files on the disk, and another one in the bucket. */
let app: TestApp
let onDisk: App
let onBucket: App
beforeEach(async () => {
  app = await createTestApp()
  onDisk = withStores('disk')
  onBucket = withStores('s3')
})
afterEach(() => app.close())

function withStores(current: StoreName, replace: Partial<ObjectStores> = {}): App {
  const [disk, s3] = ['media', 'bucket'].map((folder) => createDiskStore(join(app.config.data_dir, folder)))
  const stores = { current, disk: disk!, s3: s3!, ...replace }
  return { ...app, media: createMediaStore(app.config.media, { stores, scan: undefined, logger: app.logger }) }
}

function objectsIn(store: StoreName): string[] {
  const folder = join(app.config.data_dir, store === 'disk' ? 'media' : 'bucket')
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
}

function upload(where: App, content: string | Buffer): Promise<MediaName> {
  async function* source(): AsyncGenerator<Buffer> {
    yield Buffer.from(content)
  }
  return uploadMedia(where, { uploader: alice, contentType: undefined, filename: undefined, source: source() })
}

async function fileOf(name: MediaName) {
  return (await findLocalMedia(app, name, { timeoutMs: 0, signal: AbortSignal.abort() })).file
}

async function contentOf(where: App, name: MediaName): Promise<string> {
  return text(await openFile(where, (await fileOf(name)).objectKey))
}

const pending = () => app.database.sql.selectFrom('pending_objects').selectAll().execute()
const move = (where: App) => moveMedia(where, TO_BUCKET)

test('files and thumbnails move there and back, and every process finds them', async () => {
  const image = sharp({ create: { width: 500, height: 500, channels: 3, background: 'red' } })
  const picture = await upload(onDisk, await image.png().toBuffer())
  const { objectKey } = await thumbnailMedia(onDisk, await fileOf(picture), {
    ...{ width: 32, height: 32, method: 'crop', animated: false },
  })
  const note = await upload(onDisk, 'a note')
  expect(await move(onBucket)).toMatchObject({ objects: 3, bytes: expect.any(Number), unmovable: new Map() })
  expect([objectsIn('disk').length, objectsIn('s3').length]).toEqual([0, 3])
  for (const where of [onDisk, onBucket]) {
    expect(await contentOf(where, note)).toBe('a note')
    expect((await text(await openFile(where, objectKey))).length).toBeGreaterThan(50)
  }
  expect(await move(onBucket)).toMatchObject({ objects: 0 })
  await moveMedia(onDisk, { from: 's3', to: 'disk' })
  expect([objectsIn('disk').length, objectsIn('s3').length]).toEqual([3, 0])
  expect(await contentOf(onBucket, note)).toBe('a note')
  expect(await pending()).toEqual([])
})

test('a move that dies at any step loses nothing, and the next one leaves nothing behind', async () => {
  const names = [await upload(onDisk, 'one'), await upload(onDisk, 'two')]
  const contents = (where: App) => Promise.all(names.map((name) => contentOf(where, name)))
  let finished = false
  for (let steps = 0; !finished; steps++) {
    finished = await move(dyingAfter(steps)).then(
      () => true,
      () => false,
    )
    for (const where of [onDisk, onBucket]) expect(await contents(where)).toEqual(['one', 'two'])
    // Every second time the sweep comes first.
    if (steps % 2 === 0) await move(onBucket)
    app.clock.advance(HOUR_MS + 1)
    await sweepMedia(app, ['disk'])
    await sweepMedia(onBucket, ['s3'])
    expect(await contents(onBucket)).toEqual(['one', 'two'])
    await move(onBucket)
    expect([objectsIn('disk').length, objectsIn('s3').length, await pending()]).toEqual([0, 2, []])
    await moveMedia(onDisk, { from: 's3', to: 'disk' })
    expect(steps).toBeLessThan(50)
  }
})

/** A process that ends after some steps: each call of a store and each transaction is one. */
function dyingAfter(steps: number): App {
  let left = steps
  const step = <Arguments extends unknown[], Result>(work: (...given: Arguments) => Promise<Result>) => {
    return async (...given: Arguments) => {
      if (left-- <= 0) throw new Error('dead')
      return work(...given)
    }
  }
  const dying = (store: ObjectStore): ObjectStore => ({
    ...store,
    put: step(store.put),
    get: step(store.get),
    sizeOf: step(store.sizeOf),
    delete: step(store.delete),
  })
  const { disk, s3 } = onBucket.media.stores
  const mover = withStores('s3', { disk: dying(disk), s3: dying(s3!) })
  return { ...mover, database: { ...app.database, write: step(app.database.write) as typeof app.database.write } }
}

test('a file that is deleted while it is copied stays deleted', async () => {
  await upload(onDisk, 'secret')
  const s3 = onBucket.media.stores.s3!
  const put: ObjectStore['put'] = async (key, file) => {
    await app.database.sql.deleteFrom('media').execute()
    await sweepMedia(onDisk, ['disk', 's3'])
    await s3.put(key, file)
  }
  expect(await move(withStores('s3', { s3: { ...s3, put } }))).toMatchObject({ objects: 0, unmovable: new Map() })
  expect([objectsIn('disk'), objectsIn('s3'), await pending()]).toEqual([[], [], []])
})

test('files that a process still stores there move too', async () => {
  await upload(onDisk, 'first')
  let late: MediaName | undefined
  const result = await moveMedia(onBucket, TO_BUCKET)
  const s3 = onBucket.media.stores.s3!
  await upload(onDisk, 'second')
  const put: ObjectStore['put'] = async (key, file) => {
    late ??= await upload(onDisk, 'late')
    await s3.put(key, file)
  }
  await move(withStores('s3', { s3: { ...s3, put } }))
  expect([result.objects, await contentOf(onDisk, late!)]).toEqual([1, 'late'])
  expect([objectsIn('disk').length, objectsIn('s3').length]).toEqual([0, 3])
})

test('two moves at once lose nothing', async () => {
  const names = await Promise.all(Array.from({ length: 10 }, (_, number) => upload(onDisk, `file ${number}`)))
  await Promise.all([move(onBucket), move(withStores('s3')), move(withStores('s3'))])
  expect([objectsIn('disk').length, objectsIn('s3').length, await pending()]).toEqual([0, 10, []])
  expect(await contentOf(onBucket, names[9]!)).toBe('file 9')
})

test('missing and damaged files are named and stay where they are', async () => {
  const [lost, damaged, longer] = await Promise.all(
    ['lost', 'damaged', 'longer'].map((content) => upload(onDisk, content)),
  )
  const keyOf = async (name: MediaName | undefined) => (await fileOf(name!)).objectKey
  const pathOf = async (name: MediaName | undefined) => {
    const key = await keyOf(name)
    return objectsIn('disk').find((path) => path.endsWith(key))!
  }
  await onDisk.media.stores.disk.delete(await keyOf(lost))
  writeFileSync(await pathOf(damaged), 'DAMAGED')
  writeFileSync(await pathOf(longer), 'longer than before')
  const { objects, unmovable } = await move(onBucket)
  expect(objects).toBe(0)
  expect(unmovable).toEqual(
    new Map([
      [await keyOf(lost), 'missing'],
      [await keyOf(damaged), 'damaged'],
      [await keyOf(longer), 'damaged'],
    ]),
  )
  expect([objectsIn('disk').length, objectsIn('s3').length, await pending()]).toEqual([2, 0, []])
  expect(await countObjectsIn(app.database, 'disk')).toMatchObject({ count: 3 })
})

test('a store that fails ends the move with its error, and a later move continues', async () => {
  for (let number = 0; number < 5; number++) await upload(onDisk, `file ${number}`)
  const s3 = onBucket.media.stores.s3!
  let puts = 0
  const full: ObjectStore['put'] = async (key, file) => {
    if (++puts > 2) throw new Error('the bucket is full')
    await s3.put(key, file)
  }
  await expect(move(withStores('s3', { s3: { ...s3, put: full } }))).rejects.toThrow('the bucket is full')
  expect(await move(onBucket)).toMatchObject({ objects: 3 })
  expect([objectsIn('disk').length, objectsIn('s3').length, await pending()]).toEqual([0, 5, []])
})
