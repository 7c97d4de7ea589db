import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { CommandError } from '../command.ts'
import { writeNew } from './new-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'hearth-new-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('a file gets its name when it is whole, and is not replaced', async () => {
  const path = join(folder, 'whole')
  const result = await writeNew(path, 'file', async (partial) => {
    await writeFile(partial, 'content')
    expect(existsSync(path)).toBe(false)
    return 'done'
  })
  expect([result, readFileSync(path, 'utf8')]).toEqual(['done', 'content'])
  await expect(writeNew(path, 'file', (partial) => writeFile(partial, 'other'))).rejects.toThrow(/exists already/)
  expect(readFileSync(path, 'utf8')).toBe('content')
})

test.each(['file', 'folder'] as const)('a %s that could not be written leaves nothing behind', async (kind) => {
  const failing = writeNew(join(folder, 'failed'), kind, async (partial) => {
    if (kind === 'folder') await writeFile(join(partial, 'within'), 'content')
    throw new Error('the disk is full')
  })
  await expect(failing).rejects.toThrow('the disk is full')
  expect(readdirSync(folder).filter((name) => name.startsWith('failed'))).toEqual([])
})

test('two commands cannot write one file at a time, and one that was refused does not harm the other', async () => {
  const path = join(folder, 'shared')
  const { promise: second, resolve } = Promise.withResolvers<unknown>()
  await writeNew(path, 'file', async (partial) => {
    resolve(await writeNew(path, 'file', (other) => writeFile(other, 'second')).catch((error) => error))
    await writeFile(partial, 'first')
  })
  expect(await second).toBeInstanceOf(CommandError)
  expect(readFileSync(path, 'utf8')).toBe('first')
})
