import { createHash } from 'node:crypto'
import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { removeAbandonedFiles, stageExisting, stageFile } from './staged-file.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hearth-staged-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function* chunks(...parts: Buffer[]): AsyncGenerator<Buffer> {
  yield* parts
}

test('writes what comes, with its size, hash and first bytes', async () => {
  const parts = [Buffer.alloc(3000, 'a'), Buffer.alloc(3000, 'b')]
  const whole = Buffer.concat(parts)
  const file = await stageFile(folder, chunks(...parts), 6000)
  expect(readFileSync(file.path)).toEqual(whole)
  expect(file.size).toBe(6000)
  expect(file.sha256).toBe(createHash('sha256').update(whole).digest('base64url'))
  expect(file.head).toEqual(whole.subarray(0, 4100))
  expect(statSync(file.path).mode & 0o077).toBe(0)
  rmSync(file.path)
})

test('gives each chunk back once it is written, in many small and large ones', async () => {
  const parts = Array.from({ length: 200 }, (_, i) => Buffer.alloc(i % 3 === 0 ? 300_000 : 7, i))
  const whole = Buffer.concat(parts)
  const freed: Buffer[] = []
  const source = Object.assign(chunks(...parts), {
    free(chunk: Buffer) {
      freed.push(chunk)
      chunk.fill(0)
    },
  })
  const file = await stageFile(folder, source, whole.length)
  expect(freed.every((chunk, i) => chunk === parts[i])).toBe(true)
  expect(freed).toHaveLength(parts.length)
  expect(readFileSync(file.path).equals(whole)).toBe(true)
  expect(file).toMatchObject({ size: whole.length, sha256: createHash('sha256').update(whole).digest('base64url') })
  expect(file.head).toEqual(whole.subarray(0, 4100))
  rmSync(file.path)
})

test('an empty file is a file', async () => {
  const file = await stageFile(folder, chunks(), 10)
  expect([file.size, readFileSync(file.path).length]).toEqual([0, 0])
  rmSync(file.path)
})

test('stops at the limit, before the rest has come, and leaves nothing', async () => {
  let given = 0
  async function* endless(): AsyncGenerator<Buffer> {
    for (;;) {
      given++
      yield Buffer.alloc(100)
    }
  }
  await expect(stageFile(folder, endless(), 1000)).rejects.toMatchObject({ status: 413, errcode: 'M_TOO_LARGE' })
  expect(given).toBe(11)
  expect(readdirSync(folder)).toEqual([])
})

test('leaves nothing when the client goes away', async () => {
  async function* broken(): AsyncGenerator<Buffer> {
    yield Buffer.from('half a f')
    throw new Error('aborted')
  }
  await expect(stageFile(folder, broken(), 1000)).rejects.toThrow('aborted')
  expect(readdirSync(folder)).toEqual([])
})

test('only old files are abandoned', async () => {
  const now = Date.now()
  for (const name of ['old', 'new']) writeFileSync(join(folder, name), '')
  const twoDaysAgo = now / 1000 - 2 * 24 * 60 * 60
  utimesSync(join(folder, 'old'), twoDaysAgo, twoDaysAgo)
  await removeAbandonedFiles(folder, now)
  expect(readdirSync(folder)).toEqual(['new'])
  await removeAbandonedFiles(join(folder, 'missing'), now)
})

test('a file behind a symbolic link is staged itself', async () => {
  const away = mkdtempSync(join(tmpdir(), 'hearth-away-'))
  writeFileSync(join(away, 'file'), 'content')
  symlinkSync(join(away, 'file'), join(away, 'link'))
  const staged = (await stageExisting(join(folder, 'links'), join(away, 'link')))!
  rmSync(away, { recursive: true })
  expect(lstatSync(staged.path).isFile()).toBe(true)
  expect(readFileSync(staged.path, 'utf8')).toBe('content')
})
