import type { StoreName } from '../../storage/schema/media.ts'
import type { ObjectStore } from './object-store.ts'

/** The stores of a server: new objects go to `current`, and both may have older ones. */
export type ObjectStores = { current: StoreName; disk: ObjectStore; s3: ObjectStore | undefined }

/** Returns a configured store. */
export function storeNamed(stores: ObjectStores, name: StoreName): ObjectStore {
  const store = stores[name]
  if (!store) throw new Error(`the media store ${name} is not configured`)
  return store
}

/** Combines the stores: reads from the one that has the object, and does all else in the current one. */
export function joinStores(stores: ObjectStores): ObjectStore {
  const { disk, s3 } = stores
  if (!s3) return disk
  const current = storeNamed(stores, stores.current)
  return {
    ...current,
    // The folder first, because it costs least, and again because the object may have been moved there since.
    get: async (key, range) => (await disk.get(key, range)) ?? (await s3.get(key, range)) ?? disk.get(key, range),
    ...(current.presign && {
      presign: async (key, headers) =>
        (await disk.sizeOf(key)) === undefined ? current.presign!(key, headers) : undefined,
    }),
  }
}
