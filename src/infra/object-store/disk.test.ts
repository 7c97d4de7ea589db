import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDiskStore } from './disk.ts'
import type { ByteRange, ObjectStore } from './object-store.ts'
import { stageFile } from './staged-file.ts'

let folder: string
let store: ObjectStore
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hearth-disk-'))
  store = createDiskStore(folder)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function* once(content: string): AsyncGenerator<Buffer> {
  yield Buffer.from(content)
}

async function read(key: string, range?: ByteRange): Promise<string | undefined> {
  const stream = await store.get(key, range)
  return stream && text(stream)
}

test('gives back what was put, whole or in part, until it is deleted', async () => {
  const file = await stageFile(store.stagingFolder, once('0123456789'), 100)
  await store.put('some-key_1', file)
  expect(existsSync(file.path)).toBe(false)
  expect(await read('some-key_1')).toBe('0123456789')
  expect(await read('some-key_1', { start: 2, end: 4 })).toBe('234')
  expect(await read('some-key_1', { start: 9, end: 9 })).toBe('9')
  await store.delete('some-key_1')
  expect(await read('some-key_1')).toBeUndefined()
  await store.delete('some-key_1')
})

test.each(['../../etc/passwd', 'a/b/c/d/e', '..', '', 'key with space', 'nul\0nul'])('%j is no key', async (key) => {
  await expect(store.get(key)).rejects.toThrow('is not an object key')
  await expect(store.delete(key)).rejects.toThrow('is not an object key')
})

test('a file of many reads comes back whole, an empty one empty', async () => {
  for (const size of [0, 1, 128 * 1024, 128 * 1024 + 1, 1_000_000]) {
    const content = 'x'.repeat(size)
    await store.put('some-key_2', await stageFile(store.stagingFolder, once(content), size))
    expect(await read('some-key_2')).toBe(content)
    await store.delete('some-key_2')
  }
})
