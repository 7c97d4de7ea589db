import { createHash, randomBytes } from 'node:crypto'
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { TooLargeError } from '../../core/errors.ts'

/** A complete file on the local disk that is ready to be stored. */
export type StagedFile = {
  path: string
  size: number
  /** In base64url. */
  sha256: string
  /** The first bytes, enough to detect most formats. */
  head: Buffer
}

const HEAD_BYTES = 4100
const ABANDONED_MS = 24 * 60 * 60 * 1000

/**
 * Writes a stream durably to a new file in `folder`, with backpressure. Leaves nothing behind if it throws:
 * TooLargeError beyond `maxBytes`, or an error of the source.
 */
export async function stageFile(folder: string, source: AsyncIterable<Buffer>, maxBytes: number): Promise<StagedFile> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, randomBytes(16).toString('hex'))
  try {
    return { path, ...(await writeFile(path, source, maxBytes)) }
  } catch (error) {
    await rm(path, { force: true })
    throw error
  }
}

/** Deletes a staged file that was not stored. */
export async function discardStagedFile(file: StagedFile): Promise<void> {
  await rm(file.path, { force: true })
}

/** Deletes files that dead processes left in a staging folder. Files in progress are recent and stay. */
export async function removeAbandonedFiles(folder: string, now: number): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name)
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: now }))
    if (mtimeMs < now - ABANDONED_MS) await rm(path, { force: true })
  }
}

async function writeFile(
  path: string,
  source: AsyncIterable<Buffer>,
  maxBytes: number,
): Promise<Omit<StagedFile, 'path'>> {
  const hash = createHash('sha256')
  const file = await open(path, 'wx', 0o600)
  let size = 0
  let head = Buffer.alloc(0)
  try {
    for await (const chunk of source) {
      size += chunk.length
      if (size > maxBytes) throw new TooLargeError(`The file is larger than ${maxBytes} bytes`)
      if (head.length < HEAD_BYTES) head = Buffer.concat([head, chunk]).subarray(0, HEAD_BYTES)
      hash.update(chunk)
      await writeAll(file, chunk)
    }
    await file.sync()
  } finally {
    await file.close()
  }
  return { size, sha256: hash.digest('base64url'), head }
}

async function writeAll(file: Awaited<ReturnType<typeof open>>, chunk: Buffer): Promise<void> {
  for (let done = 0; done < chunk.length; ) {
    const { bytesWritten } = await file.write(chunk, done)
    done += bytesWritten
  }
}
