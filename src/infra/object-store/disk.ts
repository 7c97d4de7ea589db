import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { checkObjectKey } from './object-key.ts'
import type { ObjectStore } from './object-store.ts'

/**
 * Stores objects as files in a folder, which processes on several machines must share. Keys are letters, digits, `-`
 * and `_`.
 */
export function createDiskStore(folder: string): ObjectStore {
  const pathOf = (key: string) => {
    checkObjectKey(key)
    return join(folder, 'objects', key.slice(0, 2), key.slice(2, 4), key)
  }
  return {
    name: `the folder ${folder}`,
    // In the same file system, so that `put` is a rename.
    stagingFolder: join(folder, 'staging'),
    async put(key, file) {
      const path = pathOf(key)
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      await rename(file.path, path)
      for (const parent of [dirname(path), dirname(dirname(path)), join(folder, 'objects')]) await syncFolder(parent)
    },
    async get(key, range) {
      const file = await openIfThere(pathOf(key))
      return file?.createReadStream(range)
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

/** A new name is durable only when its folder is synced, and so on upwards. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path)
  try {
    await folder.sync()
  } finally {
    await folder.close()
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
