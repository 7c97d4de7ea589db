import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, pipeline, type Readable } from 'node:stream'
import type { ByteRange } from './object-store.ts'
import { syncPath } from './sync-path.ts'

/**
 * A cache of whole objects on the local disk. It holds up to `maxBytes` and evicts the least recently used ones.
 * Readers of an evicted object keep their open file. A cache that cannot be written is only slower.
 */
export type LocalCache = {
  /** Returns the bytes of a cached object, or a range of it. */
  read(key: string, range?: ByteRange): Promise<Readable | undefined>
  /** Adds a complete local file of the same file system, which is consumed. */
  add(key: string, file: { path: string; size: number }): Promise<void>
  /** Passes on the bytes of an object, and adds it to the cache once all of its `size` bytes were read. */
  fill(key: string, source: Readable, size: number): Readable
  remove(key: string): Promise<void>
}

/** Larger objects are not cached: one video would evict a thousand pictures. */
const LARGEST_SHARE = 1 / 4
const UNFINISHED = '.unfinished'

/** Does not touch the folder, which may be another process's. */
const NO_CACHE: LocalCache = {
  read: async () => undefined,
  add: async () => {},
  fill: (_key, source) => source,
  remove: async () => {},
}

/**
 * Creates a cache with the objects that the folder has from an earlier run. The folder is read at the first use. Caches
 * nothing if `maxBytes` is 0.
 */
export function createLocalCache(folder: string, maxBytes: number): LocalCache {
  if (maxBytes === 0) return NO_CACHE
  /** Sizes by key, the least recently used first. */
  let sizes: Promise<Map<string, number>> | undefined
  let parts = 0
  const known = () => (sizes ??= readFolder(folder))
  const fits = (size: number) => size <= maxBytes * LARGEST_SHARE

  /** Makes a complete file in the folder an entry. */
  async function enter(key: string, file: { path: string; size: number }): Promise<void> {
    const entries = await known()
    // After a power failure, the name must not lead to half the content.
    await syncPath(file.path)
    await rename(file.path, join(folder, key))
    entries.delete(key)
    entries.set(key, file.size)
    let total = entries.values().reduce((sum, size) => sum + size, 0)
    for (const [oldest, size] of entries) {
      if (total <= maxBytes) break
      entries.delete(oldest)
      total -= size
      await rm(join(folder, oldest), { force: true })
    }
  }

  async function newPart(): Promise<string> {
    await known()
    return join(folder, `${process.pid}-${parts++}${UNFINISHED}`)
  }

  return {
    async read(key, range) {
      const entries = await known()
      const size = entries.get(key)
      if (size === undefined) return undefined
      entries.delete(key)
      const file = await open(join(folder, key)).catch(() => undefined)
      if (!file) return undefined
      entries.set(key, size)
      return file.createReadStream(range)
    },
    async add(key, file) {
      if (fits(file.size)) await enter(key, file).catch(() => {})
    },
    fill(key, source, size) {
      if (!fits(size)) return source
      const passed = new PassThrough()
      pipeline(source, copying({ size, newPart, enter: (path) => enter(key, { path, size }) }), passed, () => {})
      // When the reader leaves: the pipeline itself waits for the next bytes, which may never come.
      return passed.once('close', () => source.destroy())
    },
    async remove(key) {
      const entries = await known()
      entries.delete(key)
      await rm(join(folder, key), { force: true })
    },
  }
}

/** Passes on what the source yields, and enters it when it is complete. Writing may fail; reading goes on. */
function copying(copy: { size: number; newPart(): Promise<string>; enter(path: string): Promise<void> }) {
  return async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    const path = await copy.newPart()
    const file = await open(path, 'wx', 0o600).catch(() => undefined)
    let isIntact = file !== undefined
    let isEntered = false
    let written = 0
    try {
      for await (const chunk of source) {
        if (isIntact) await file!.appendFile(chunk).catch(() => (isIntact = false))
        written += chunk.length
        yield chunk
      }
      if (!isIntact || written !== copy.size) return
      isEntered = await copy.enter(path).then(
        () => true,
        () => false,
      )
    } finally {
      await file?.close()
      if (file && !isEntered) await rm(path, { force: true }).catch(() => {})
    }
  }
}

/** Returns the sizes of the complete objects, and deletes what dead processes left unfinished. */
async function readFolder(folder: string): Promise<Map<string, number>> {
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch(() => {})
  const names = await readdir(folder).catch(() => [])
  const found: { name: string; size: number; mtimeMs: number }[] = []
  for (const name of names) {
    const path = join(folder, name)
    if (name.endsWith(UNFINISHED)) await rm(path, { force: true })
    else {
      const { size, mtimeMs } = await stat(path).catch(() => ({ size: 0, mtimeMs: 0 }))
      found.push({ name, size, mtimeMs })
    }
  }
  found.sort((left, right) => left.mtimeMs - right.mtimeMs)
  return new Map(found.map(({ name, size }) => [name, size]))
}
