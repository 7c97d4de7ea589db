import type { App } from '../../app.ts'
import type { StagedFile } from '../../infra/object-store/staged-file.ts'
import { announceObject, forgetObjects, markOrphanedObjects } from '../../storage/media/pending-objects.ts'

/**
 * Puts a staged file into the store, and returns its key. The object counts as orphaned until a transaction refers to
 * it, so that a crash leaves no orphan.
 */
export async function putObject(app: App, staged: StagedFile): Promise<string> {
  const objectKey = app.random.token(32)
  await app.database.write((tx) => announceObject(tx, objectKey, app.clock.now()))
  await app.media.objects.put(objectKey, staged)
  return objectKey
}

/** Deletes an orphaned object. */
export async function dropObject(app: App, objectKey: string): Promise<void> {
  await app.media.objects.delete(objectKey)
  await app.database.write((tx) => forgetObjects(tx, [objectKey]))
}

/** Deletes up to `limit` objects that have been orphaned since before `cutoff`, and returns how many there were. */
export async function deleteOrphanedObjects(app: App, command: { cutoff: number; limit: number }): Promise<number> {
  const keys = await app.database.write((tx) => markOrphanedObjects(tx, command))
  for (const key of keys) await app.media.objects.delete(key)
  if (keys.length > 0) await app.database.write((tx) => forgetObjects(tx, keys))
  return keys.length
}
