import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { z } from 'zod'
import { linesOf, openZip, type ZipReader } from '../../infra/zip-reader.ts'
import { BackupError, MANIFEST, type Manifest, manifest, SUMMARY, type Summary, summary } from './backup-format.ts'

/** A whole backup, opened for reading. */
export type Backup = {
  manifest: Manifest
  summary: Summary
  zip: ZipReader
}

/** Opens a backup. Throws BackupError if the file is none, or its writing was interrupted. */
export async function openBackup(file: string): Promise<Backup> {
  const zip = await openZip(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== undefined) throw new BackupError(`Cannot read ${file}: ${error.message}.`)
    throw new BackupError(`${file} is not a whole backup: its end is missing, or it is no ZIP archive.`)
  })
  try {
    const head = await readJson(zip, MANIFEST, manifest)
    const tail = await readJson(zip, SUMMARY, summary)
    if (!head || !tail) throw new BackupError(`${file} is no backup that this version of Hearth can read.`)
    return { manifest: head, summary: tail, zip }
  } catch (error) {
    zip.close()
    throw error
  }
}

async function readJson<Schema extends z.ZodType>(
  zip: ZipReader,
  name: string,
  schema: Schema,
): Promise<z.output<Schema> | undefined> {
  const entry = await zip.read(name)
  if (!entry) return undefined
  try {
    return schema.safeParse(JSON.parse(await text(entry))).data
  } catch {
    return undefined
  }
}

/** Returns the lines of an entry; afterwards throws BackupError if they are not those that were written. */
export async function* checkedLines(
  { zip }: Backup,
  name: string,
  expected: { sha256: string; bytes: number },
): AsyncGenerator<string> {
  const entry = await requireEntry(zip, name)
  const hash = createHash('sha256')
  let bytes = 0
  const lines = linesOf(entry)
  for (;;) {
    const { value: line, done } = await lines.next().catch((error) => {
      throw damaged(name, error)
    })
    if (done) break
    hash.update(line).update('\n')
    bytes += Buffer.byteLength(line) + 1
    yield line
  }
  if (bytes !== expected.bytes || hash.digest('base64url') !== expected.sha256) throw damaged(name)
}

/** Returns the content of an entry. Throws BackupError if there is none. */
export async function requireEntry(zip: ZipReader, name: string): Promise<Readable> {
  const entry = await zip.read(name).catch((error) => {
    throw damaged(name, error)
  })
  if (!entry) throw new BackupError(`The backup is damaged: ${name} is missing. Use another one.`)
  return entry
}

/** The error for an entry that is not what was written. */
export function damaged(name: string, cause?: unknown): BackupError {
  return new BackupError(`The backup is damaged: ${name} is not what was written. Use another one.`, { cause })
}
