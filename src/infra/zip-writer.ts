import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { ZipFile } from 'yazl'

/** Compresses texts at little cost of CPU time. */
const TEXT = { compress: true, compressionLevel: 1 }
const BINARY = { compress: false }

/** A ZIP archive while it is written, one entry after the other, without holding any of them in memory. */
export type ZipWriter = {
  /** The archive. Entries are written while it is read. */
  output: Readable
  /** Adds an entry; resolves once `content` was read to its end. Throws its error, or if the reader has gone. */
  add(name: string, content: AsyncIterable<Uint8Array | string>, kind?: 'text' | 'binary'): Promise<void>
  /** Ends the archive. An archive that was not ended has no directory, so that no program takes it for a whole one. */
  end(): void
}

/** Creates an archive without entries. `time`: that of its entries. */
export function createZip(time: Date): ZipWriter {
  const zip = new ZipFile()
  const output = zip.outputStream as Readable
  let current: Readable | undefined
  let isGone = false
  output.once('close', () => {
    isGone = true
    current?.destroy(new Error('the archive is not read any more'))
  })
  return {
    output,
    async add(name, content, kind = 'text') {
      if (isGone) throw new Error('the archive is not read any more')
      current = Readable.from(content, { objectMode: false })
      const end = finished(current, { writable: false })
      zip.addReadStream(current, name, { mtime: time, ...(kind === 'text' ? TEXT : BINARY) })
      await end
    },
    end: () => zip.end(),
  }
}
