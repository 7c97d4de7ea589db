import type { Readable } from 'node:stream'
import { type Entry, openPromise, type ZipFile } from 'yauzl'

/** A ZIP archive in a file. */
export type ZipReader = {
  /** The names of its entries, in their order. */
  names: string[]
  /** Returns the content of an entry; undefined if there is none of this name. */
  read(name: string): Promise<Readable | undefined>
  close(): void
}

/** Opens a ZIP archive. Throws if the file is none, or was not written to its end. */
export async function openZip(file: string): Promise<ZipReader> {
  const zip: ZipFile = await openPromise(file, { lazyEntries: true, autoClose: false })
  const entries = new Map<string, Entry>()
  await new Promise<void>((resolve, reject) => {
    zip.on('entry', (entry: Entry) => {
      entries.set(entry.fileName, entry)
      zip.readEntry()
    })
    zip.once('end', resolve)
    zip.once('error', reject)
    zip.readEntry()
  })
  return {
    names: [...entries.keys()],
    async read(name) {
      const entry = entries.get(name)
      if (!entry) return undefined
      return zip.openReadStreamPromise(entry)
    },
    close: () => zip.close(),
  }
}

/** Returns the lines of a text. Only line feeds end them: JSON may contain other line separators. */
export async function* linesOf(stream: Readable): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of stream.setEncoding('utf8') as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    yield* lines
  }
  if (rest !== '') yield rest
}
