import { randomUUID } from 'node:crypto'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The place of a text in a spool. */
export type SpooledText = { start: number; bytes: number }

/**
 * Texts that are read again in another order and exceed the memory: a temporary file, which vanishes with the process.
 * Calls must not overlap.
 */
export type Spool = {
  /** Appends texts; returns their places. */
  add(texts: readonly string[]): Promise<SpooledText[]>
  /** Reads texts, in the order of their places; adjacent ones are read together. */
  read(places: readonly SpooledText[]): Promise<string[]>
  close(): Promise<void>
}

/** The last bytes stay in memory: a small spool is never written. */
const KEPT_BYTES = 4 * 1024 * 1024
/** A gap between two texts below this size is read with them. */
const GAP_BYTES = 16 * 1024
/** The maximum bytes per read, except for larger texts. */
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

/** A growing list of bytes. */
class ByteList {
  #buffer = Buffer.alloc(0)
  length = 0

  /** Appends a text and returns its number of bytes. */
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

  /** Keeps the allocated memory. */
  clear(): void {
    this.length = 0
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2, 64 * 1024))
    this.#buffer.copy(larger, 0, 0, this.length)
    this.#buffer = larger
  }
}

/** A range of the spool, and which of the wanted places are in it. */
type Range = SpooledText & { contents: number[] }

/** No range crosses the end of the written part. */
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
