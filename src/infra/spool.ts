import { randomUUID } from 'node:crypto'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Where a text is in a spool. */
export type SpooledText = { start: number; bytes: number }

/** Texts that have to be read again in another order, and are too many for memory: they pass through a file, which vanishes with the process. */
export type Spool = {
  /** Appends texts; returns where each is. Calls must not overlap. */
  add(texts: readonly string[]): Promise<SpooledText[]>
  read(place: SpooledText): Promise<string>
  close(): Promise<void>
}

/** Bytes at the end of the spool that stay in memory: what is small never is written. */
const KEPT_BYTES = 4 * 1024 * 1024

/** Opens an empty spool. */
export function createSpool(): Spool {
  let file: FileHandle | undefined
  let written = 0
  let tail: Buffer[] = []
  let tailBytes = 0

  async function flush(): Promise<void> {
    file ??= await openUnnamed()
    const bytes = Buffer.concat(tail)
    await file.write(bytes, 0, bytes.length, written)
    written += bytes.length
    tail = []
    tailBytes = 0
  }

  return {
    async add(texts) {
      const places: SpooledText[] = []
      for (const text of texts) {
        const bytes = Buffer.from(text)
        places.push({ start: written + tailBytes, bytes: bytes.length })
        tail.push(bytes)
        tailBytes += bytes.length
      }
      if (tailBytes > KEPT_BYTES) await flush()
      return places
    },
    async read({ start, bytes }) {
      if (start >= written) {
        tail = [Buffer.concat(tail)]
        return tail[0]!.toString('utf8', start - written, start - written + bytes)
      }
      const buffer = Buffer.allocUnsafe(bytes)
      await file!.read(buffer, 0, bytes, start)
      return buffer.toString()
    },
    close: async () => file?.close(),
  }
}

async function openUnnamed(): Promise<FileHandle> {
  const path = join(tmpdir(), `hearth-${randomUUID()}`)
  const file = await open(path, 'wx+', 0o600)
  await unlink(path)
  return file
}
