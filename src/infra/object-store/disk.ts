import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { checkObjectKey } from './object-key.ts'
import type { ObjectStore } from './object-store.ts'
import { syncPath } from './sync-path.ts'

/** Larger reads are hardly faster, and each download in progress has two of them in memory. */
const READ_BYTES = 128 * 1024

/**
 * Stores objects as files in a folder, which processes on several machines must share. Keys are letters, digits, `-`
 * and `_`.
 */
export function createDiskStore(folder: string): ObjectStore {
  const objects = join(folder, 'objects')
  /** Subfolders that this process knows to be durable. */
  const durable = new Set<string>()
  const pathOf = (key: string) => {
    checkObjectKey(key)
    return join(objects, key.slice(0, 2), key)
  }
  async function prepare(subfolder: string): Promise<void> {
    if (durable.has(subfolder)) return
    await mkdir(subfolder, { recursive: true, mode: 0o700 })
    for (const parent of [objects, folder]) await syncPath(parent)
    durable.add(subfolder)
  }

  return {
    name: `the folder ${folder}`,
    // In the same file system, so that `put` is a rename.
    stagingFolder: join(folder, 'staging'),
    async put(key, file) {
      const path = pathOf(key)
      await prepare(dirname(path))
      await rename(file.path, path)
      // After the rename, so that the file system commits it together with the content.
      await Promise.all([syncPath(path), syncPath(dirname(path))])
    },
    async get(key, range) {
      const file = await openIfThere(pathOf(key))
      if (!file) return undefined
      const { size } = await file.stat()
      // Without a range, a read at the end would find that nothing follows.
      const all = size > 0 && { start: 0, end: size - 1 }
      return file.createReadStream({ ...all, ...range, highWaterMark: READ_BYTES })
    },
    sizeOf: (key) =>
      stat(pathOf(key)).then(
        ({ size }) => size,
        (error) => {
          if (isMissing(error)) return undefined
          throw error
        },
      ),
    async delete(key) {
      await rm(pathOf(key), { force: true })
    },
  }
}

async function openIfThere(path: string) {
  try {
    return await open(path)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}
