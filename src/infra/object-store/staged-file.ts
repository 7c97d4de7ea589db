import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { copyFile, type FileHandle, link, mkdir, open, readdir, realpath, rm, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
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

/** Bytes in chunks. `free`, if present, is called with each chunk after its last use. */
export type ByteSource = AsyncIterable<Buffer> & { free?: (chunk: Buffer) => void }

const HEAD_BYTES = 4100
/** Memory of chunks that wait while others are written. */
const MAX_WAITING = 1024 * 1024
const SYNC_EVERY = 8 * 1024 * 1024
const ABANDONED_MS = 24 * 60 * 60 * 1000

/**
 * Writes a stream to a new file in `folder`, with backpressure; the object store makes it durable. Leaves nothing behind if it throws:
 * TooLargeError beyond `maxBytes`, or an error of the source.
 */
export async function stageFile(folder: string, source: ByteSource, maxBytes: number): Promise<StagedFile> {
  const path = join(folder, randomBytes(16).toString('hex'))
  const file = await create(path)
  try {
    return { path, ...(await receive(file, source, maxBytes)) }
  } catch (error) {
    await rm(path, { force: true })
    throw error
  }
}

/**
 * Stages a file that stays where it is: by a hard link, or by a copy where the folder is on another file system.
 * Undefined if it does not exist.
 */
export async function stageExisting(folder: string, original: string): Promise<StagedFile | undefined> {
  if (!(await stat(original).catch(ignoreMissing))?.isFile()) return undefined
  const path = join(folder, randomBytes(16).toString('hex'))
  await mkdir(folder, { recursive: true, mode: 0o700 })
  // A link to a symbolic link would not keep the file.
  const file = await realpath(original)
  await link(file, path).catch(() => copyFile(file, path))
  const hash = createHash('sha256')
  let size = 0
  let head = Buffer.alloc(0)
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    size += chunk.length
    if (head.length < HEAD_BYTES) head = Buffer.concat([head, chunk.subarray(0, HEAD_BYTES - head.length)])
    hash.update(chunk)
  }
  return { path, size, sha256: hash.digest('base64url'), head }
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}

/** Deletes a staged file that was not stored. */
export async function discardStagedFile(file: StagedFile): Promise<void> {
  await unlink(file.path).catch((error) => {
    if (error.code !== 'ENOENT') throw error
  })
}

/** Deletes files that dead processes left in a staging folder. Files in progress are recent and stay. */
export async function removeAbandonedFiles(folder: string, now: number): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name)
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: now }))
    if (mtimeMs < now - ABANDONED_MS) await rm(path, { force: true })
  }
}

async function create(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    return open(path, 'wx', 0o600)
  }
}

async function receive(file: FileHandle, source: ByteSource, maxBytes: number): Promise<Omit<StagedFile, 'path'>> {
  const hash = createHash('sha256')
  const writer = createWriter(file, (chunk) => source.free?.(chunk))
  let size = 0
  let head = Buffer.alloc(0)
  try {
    for await (const chunk of source) {
      size += chunk.length
      if (size > maxBytes) throw new TooLargeError(`The file is larger than ${maxBytes} bytes`)
      if (head.length < HEAD_BYTES) head = Buffer.concat([head, chunk.subarray(0, HEAD_BYTES - head.length)])
      hash.update(chunk)
      await writer.add(chunk)
    }
    await writer.flush()
  } finally {
    await writer.flush().catch(() => {})
    await file.close()
  }
  return { size, sha256: hash.digest('base64url'), head }
}

/**
 * Writes chunks while further ones arrive: together those that have arrived while the last ones were written. The disk
 * begins to write in the meantime, so that a large file is soon durable at its end.
 */
function createWriter(file: FileHandle, written: (chunk: Buffer) => void) {
  let waiting: Buffer[] = []
  let bytes = 0
  let unsynced = 0
  let writing: Promise<void> | undefined
  let syncing: Promise<void> | undefined

  async function writeWaiting(): Promise<void> {
    while (waiting.length > 0) {
      const chunks = waiting
      waiting = []
      unsynced += bytes
      bytes = 0
      await writeAll(file, chunks)
      chunks.forEach(written)
      if (unsynced >= SYNC_EVERY) syncing ??= thrownLater(sync())
    }
    writing = undefined
  }
  async function sync(): Promise<void> {
    unsynced = 0
    await file.datasync()
    syncing = undefined
  }
  return {
    add(chunk: Buffer): Promise<void> | undefined {
      waiting.push(chunk)
      bytes += chunk.length
      writing ??= thrownLater(writeWaiting())
      return bytes >= MAX_WAITING ? writing : undefined
    },
    async flush() {
      await writing
      await syncing
    },
  }
}

/** Lets a promise fail before it is awaited. */
function thrownLater<Result>(promise: Promise<Result>): Promise<Result> {
  promise.catch(() => {})
  return promise
}

async function writeAll(file: FileHandle, chunks: Buffer[]): Promise<void> {
  for (let left = chunks; left.length > 0; ) {
    let { bytesWritten } = await file.writev(left)
    left = left.flatMap((chunk) => {
      const skipped = Math.min(bytesWritten, chunk.length)
      bytesWritten -= skipped
      return skipped < chunk.length ? [chunk.subarray(skipped)] : []
    })
  }
}
