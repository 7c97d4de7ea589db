import type { App } from '../../app.ts'
import { storeNamed } from '../../infra/object-store/object-stores.ts'
import type { StagedFile } from '../../infra/object-store/staged-file.ts'
import { StoreUnavailableError } from '../../infra/object-store/store-unavailable.ts'
import type { Tx } from '../../storage/engine/database.ts'
import {
  announceObject,
  forgetObjects,
  markIfOrphaned,
  markOrphanedObjects,
} from '../../storage/media/pending-objects.ts'
import type { StoredObject, StoreName } from '../../storage/schema/media.ts'

/**
 * Puts a staged file into the store for new files. The object counts as orphaned until a transaction refers to it, so
 * that a crash leaves no orphan.
 */
export async function putObject(app: App, staged: StagedFile): Promise<StoredObject> {
  const object = await app.database.write((tx) => announceNewObject(app, tx))
  await app.media.objects.put(object.objectKey, staged)
  return object
}

/** Returns an object to put into the store for new files after the commit. It counts as orphaned as for `putObject`. */
export async function announceNewObject(app: App, tx: Tx): Promise<StoredObject> {
  const object = { objectKey: app.random.token(32), store: app.media.stores.current }
  await announceObject(tx, object, app.clock.now())
  return object
}

/** Deletes an object if it is orphaned. If its store does not answer, the sweep deletes it later. */
export function dropObject(app: App, { objectKey, store }: StoredObject): Promise<void> {
  return dropObjects(app, store, [objectKey])
}

/** As `dropObject`, for several objects of a store. */
export async function dropObjects(app: App, store: StoreName, objectKeys: readonly string[]): Promise<void> {
  const keys = await app.database.write((tx) => markIfOrphaned(tx, store, objectKeys))
  if (keys.length === 0) return
  try {
    for (const key of keys) await storeNamed(app.media.stores, store).delete(key)
  } catch (error) {
    if (error instanceof StoreUnavailableError) return
    throw error
  }
  await app.database.write((tx) => forgetObjects(tx, store, keys))
}

/**
 * Deletes up to `limit` objects of a store that have been orphaned since before `cutoff`, and returns how many there
 * were.
 */
export async function deleteOrphanedObjects(
  app: App,
  command: { store: StoreName; cutoff: number; limit: number },
): Promise<number> {
  const { store } = command
  const keys = await app.database.write((tx) => markOrphanedObjects(tx, command))
  for (const key of keys) await storeNamed(app.media.stores, store).delete(key)
  if (keys.length > 0) await app.database.write((tx) => forgetObjects(tx, store, keys))
  return keys.length
}
