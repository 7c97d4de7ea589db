import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createDiskStore } from './disk.ts'
import type { ObjectStore } from './object-store.ts'
import { joinStores } from './object-stores.ts'
import { stageFile } from './staged-file.ts'

const HEADERS = { contentType: 'text/plain', disposition: 'inline', cacheControl: 'private' }

let folder: string
let disk: ObjectStore
let s3: ObjectStore
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hearth-stores-'))
  disk = createDiskStore(join(folder, 'disk'))
  s3 = { ...createDiskStore(join(folder, 's3')), presign: async (key) => `https://bucket/${key}` }
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function put(store: ObjectStore, key: string, content: string): Promise<void> {
  await store.put(key, await stageFile(store.stagingFolder, Readable.from([Buffer.from(content)]), 100))
}

async function contentOf(store: ObjectStore, key: string): Promise<string | undefined> {
  const stream = await store.get(key)
  return stream && text(stream)
}

test.each(['disk', 's3'] as const)('with %s for new objects, those of both stores are read', async (current) => {
  const stores = { current, disk, s3 }
  const joined = joinStores(stores)
  await put(disk, 'on-disk', 'one')
  await put(s3, 'in-bucket', 'two')
  await put(joined, 'new-one', 'three')
  expect(await Promise.all(['on-disk', 'in-bucket', 'new-one'].map((key) => contentOf(joined, key)))).toEqual([
    'one',
    'two',
    'three',
  ])
  expect(await contentOf(stores[current], 'new-one')).toBe('three')
  expect(await contentOf(joined, 'nowhere')).toBeUndefined()
})

test('an object that is moved to the disk while it is looked for is found there', async () => {
  const moving: ObjectStore = {
    ...s3,
    async get() {
      await put(disk, 'moved', 'content')
      return undefined
    },
  }
  expect(await contentOf(joinStores({ current: 'disk', disk, s3: moving }), 'moved')).toBe('content')
})

test('URLs of the bucket are given only for objects in the bucket, and only while it gets the new ones', async () => {
  await put(disk, 'on-disk', 'one')
  const joined = joinStores({ current: 's3', disk, s3 })
  expect(await joined.presign!('on-disk', HEADERS)).toBeUndefined()
  expect(await joined.presign!('in-bucket', HEADERS)).toBe('https://bucket/in-bucket')
  expect(joinStores({ current: 'disk', disk, s3 }).presign).toBeUndefined()
})
