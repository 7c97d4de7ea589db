import { randomUUID } from 'node:crypto'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Where a text is in a spool. */
export type SpooledText = { start: number; bytes: number }

/** Texts that have to be read again in another order, and are too many for memory: they pass through a file, which vanishes with the process. Calls must not overlap. */
export type Spool = {
  /** Appends texts; returns where each is. */
  add(texts: readonly string[]): Promise<SpooledText[]>
  /** Texts, in the order of their places; what lies together is read together. */
  read(places: readonly SpooledText[]): Promise<string[]>
  close(): Promise<void>
}

/** Bytes at the end of the spool that stay in memory: what is small never is written. */
const KEPT_BYTES = 4 * 1024 * 1024
/** What lies between two texts is read with them if it is less than this. */
const GAP_BYTES = 16 * 1024
/** Bytes that are read at once, but for texts that are larger. */
const READ_BYTES = 1024 * 1024

/** Opens an empty spool. */
export function createSpool(): Spool {
  let file: FileHandle | undefined
  let written = 0
  const tail = new ByteList()

  async function flush(): Promise<void> {
    file ??= await openUnnamed()
    await file.write(tail.bytes(), 0, tail.length, written)
    written += tail.length
    tail.clear()
  }

  async function bytesAt({ start, bytes }: SpooledText): Promise<Buffer> {
    if (start >= written) return tail.bytes().subarray(start - written, start - written + bytes)
    const buffer = Buffer.allocUnsafe(bytes)
    await file!.read(buffer, 0, bytes, start)
    return buffer
  }

  return {
    async add(texts) {
      const places: SpooledText[] = []
      for (const text of texts) {
        const start = written + tail.length
        places.push({ start, bytes: tail.add(text) })
      }
      if (tail.length > KEPT_BYTES) await flush()
      return places
    },
    async read(places) {
      const texts = new Array<string>(places.length)
      for (const range of rangesOf(places, written)) {
        const buffer = await bytesAt(range)
        for (const at of range.contents) {
          const start = places[at]!.start - range.start
          texts[at] = buffer.toString('utf8', start, start + places[at]!.bytes)
        }
      }
      return texts
    },
    close: async () => file?.close(),
  }
}

/** Bytes that grow at their end. */
class ByteList {
  #buffer = Buffer.alloc(0)
  length = 0

  /** Appends a text and returns how many bytes it has. */
  add(text: string): number {
    const bytes = Buffer.byteLength(text)
    if (this.length + bytes > this.#buffer.length) this.#grow(this.length + bytes)
    this.#buffer.write(text, this.length)
    this.length += bytes
    return bytes
  }

  bytes(): Buffer {
    return this.#buffer
  }

  /** The room that there is stays. */
  clear(): void {
    this.length = 0
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2, 64 * 1024))
    this.#buffer.copy(larger, 0, 0, this.length)
    this.#buffer = larger
  }
}

/** A part of the spool, and which of the places that are wanted lie in it. */
type Range = SpooledText & { contents: number[] }

/** None goes over the border of what is written. */
function rangesOf(places: readonly SpooledText[], border: number): Range[] {
  const ranges: Range[] = []
  const order = [...places.keys()].sort((a, b) => places[a]!.start - places[b]!.start)
  let last: Range | undefined
  for (const at of order) {
    const { start, bytes } = places[at]!
    const end = start + bytes
    const isNear = last && start - (last.start + last.bytes) < GAP_BYTES && end - last.start <= READ_BYTES
    if (last && isNear && last.start < border === start < border) {
      last.bytes = Math.max(last.bytes, end - last.start)
      last.contents.push(at)
    } else {
      last = { start, bytes, contents: [at] }
      ranges.push(last)
    }
  }
  return ranges
}

async function openUnnamed(): Promise<FileHandle> {
  const path = join(tmpdir(), `hearth-${randomUUID()}`)
  const file = await open(path, 'wx+', 0o600)
  await unlink(path)
  return file
}
