import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createLocalCache, type LocalCache } from './local-cache.ts'

let folder: string
let cache: LocalCache
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'hearth-cache-')), 'objects')
  cache = createLocalCache(folder, 40)
})
afterEach(() => rmSync(join(folder, '..'), { recursive: true, force: true }))

async function read(key: string, range?: { start: number; end: number }): Promise<string | undefined> {
  const stream = await cache.read(key, range)
  return stream && text(stream)
}

async function add(key: string, content: string): Promise<void> {
  await read('none')
  const path = join(folder, '..', `${key}.staged`)
  writeFileSync(path, content)
  await cache.add(key, { path, size: content.length })
}

const ten = '0123456789'

test('returns what was added, whole or in part, until it is removed', async () => {
  await add('a', ten)
  expect([await read('a'), await read('a', { start: 2, end: 4 })]).toEqual([ten, '234'])
  await cache.remove('a')
  expect([await read('a'), readdirSync(folder)]).toEqual([undefined, []])
})

test('evicts the least recently used objects, and their readers read on', async () => {
  for (const key of ['a', 'b', 'c', 'd']) await add(key, ten)
  const reader = await cache.read('b')
  for (const key of ['a', 'c', 'd']) await read(key)
  await add('e', ten)
  expect(readdirSync(folder).sort()).toEqual(['a', 'c', 'd', 'e'])
  expect(await text(reader!)).toBe(ten)
  expect(await read('b')).toBeUndefined()
})

test('large objects are not cached', async () => {
  await add('a', `${ten}x`)
  expect(await read('a')).toBeUndefined()
  expect(await text(cache.fill('b', Readable.from([Buffer.from(`${ten}x`)]), 11))).toBe(`${ten}x`)
  expect(readdirSync(folder)).toEqual([])
})

test('keeps what was read to its end, and nothing of what was not', async () => {
  expect(await text(cache.fill('whole', Readable.from([Buffer.from('01234'), Buffer.from('56789')]), 10))).toBe(ten)
  expect(await read('whole')).toBe(ten)
  await text(cache.fill('short', Readable.from([Buffer.from('01234')]), 10))
  async function* broken(): AsyncGenerator<Buffer> {
    yield Buffer.from('01234')
    throw new Error('the store died')
  }
  await expect(text(cache.fill('broken', Readable.from(broken()), 10))).rejects.toThrow('the store died')
  const left = cache.fill('left', Readable.from([Buffer.from('01234'), Buffer.from('56789')]), 10)
  for await (const _ of left) break
  await expect.poll(() => readdirSync(folder)).toEqual(['whole'])
})

test('ends the source of a stream that is not read', async () => {
  const source = Readable.from([Buffer.from(ten)])
  cache.fill('a', source, 10).destroy()
  await expect.poll(() => source.destroyed).toBe(true)
})

test('keeps its objects over a restart, but nothing unfinished', async () => {
  await add('a', ten)
  writeFileSync(join(folder, '1-1.unfinished'), '012')
  cache = createLocalCache(folder, 40)
  expect(await read('a')).toBe(ten)
  expect(readdirSync(folder)).toEqual(['a'])
})

test('a folder that cannot be written makes no difference to readers', async () => {
  writeFileSync(folder, 'a file, not a folder')
  expect(await text(cache.fill('a', Readable.from([Buffer.from(ten)]), 10))).toBe(ten)
  expect(existsSync(join(folder, 'a'))).toBe(false)
})
