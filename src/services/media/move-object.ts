import type { App } from '../../app.ts'
import { TooLargeError } from '../../core/errors.ts'
import type { ObjectStore } from '../../infra/object-store/object-store.ts'
import { storeNamed } from '../../infra/object-store/object-stores.ts'
import { discardStagedFile, type StagedFile, stageFile } from '../../infra/object-store/staged-file.ts'
import { announceMove, findStoreOf, type ObjectInStore, recordMove } from '../../storage/media/stored-objects.ts'
import type { StoreName } from '../../storage/schema/media.ts'
import { dropObject } from './objects.ts'

/**
 * `gone`: the file was deleted in the meantime. `missing`: the store has lost it. `damaged`: its content is not what was
 * uploaded. `busy`: an earlier copy is being deleted.
 */
export type MoveOutcome = 'moved' | 'gone' | 'missing' | 'damaged' | 'busy'

/**
 * Moves an object to another store under the same key. It is copied, the database then names the copy, and the original
 * is deleted, so that readers always find it. Until the database names a copy, the copy counts as orphaned: after a crash
 * the sweep deletes it, or a later move overwrites it. The same holds for originals afterwards.
 */
export async function moveObject(
  app: App,
  object: ObjectInStore,
  { from, to }: { from: StoreName; to: StoreName },
): Promise<MoveOutcome> {
  const { objectKey } = object
  const move = { objectKey, from, to }
  const announced = await app.database.write((tx) => announceMove(tx, move, app.clock.now()))
  if (announced !== 'announced') return announced
  const fault = await copyObject(app, object, move)
  const isMoved = !fault && (await app.database.write((tx) => recordMove(tx, move)))
  await dropObject(app, { objectKey, store: isMoved ? from : to })
  if (isMoved) return 'moved'
  return fault && (await findStoreOf(app.database, objectKey)) === from ? fault : 'gone'
}

async function copyObject(
  app: App,
  object: ObjectInStore,
  { from, to }: { from: StoreName; to: StoreName },
): Promise<'missing' | 'damaged' | undefined> {
  const { stores } = app.media
  const source = await storeNamed(stores, from).get(object.objectKey)
  if (!source) return 'missing'
  const target = storeNamed(stores, to)
  let staged: StagedFile
  try {
    staged = await stageFile(target.stagingFolder, source, object.size)
  } catch (error) {
    if (error instanceof TooLargeError) return 'damaged'
    throw error
  } finally {
    source.destroy()
  }
  try {
    const isIntact = staged.size === object.size && (object.sha256 ?? staged.sha256) === staged.sha256
    if (!isIntact) return 'damaged'
    await putAndVerify(target, object, staged)
  } finally {
    await discardStagedFile(staged)
  }
}

async function putAndVerify(
  target: ObjectStore,
  { objectKey, size }: ObjectInStore,
  staged: StagedFile,
): Promise<void> {
  await target.put(objectKey, staged)
  const stored = await target.sizeOf(objectKey)
  if (stored !== size) throw new Error(`${target.name} has ${stored ?? 'no'} bytes of an object of ${size} bytes`)
}
