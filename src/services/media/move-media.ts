import type { App } from '../../app.ts'
import { createConcurrencyLimit } from '../../infra/concurrency/concurrency-limit.ts'
import { listFilesIn, listThumbnailsIn, type ObjectInStore } from '../../storage/media/stored-objects.ts'
import type { StoreName } from '../../storage/schema/media.ts'
import { type MoveOutcome, moveObject } from './move-object.ts'
import { deleteOrphanedObjects } from './objects.ts'

/** Why an object stays where it is. */
export type Reason = Exclude<MoveOutcome, 'moved' | 'gone'>

/** The progress of a move. */
export type Moved = {
  objects: number
  bytes: number
  /** The reasons of objects that stay where they are, by key. */
  unmovable: Map<string, Reason>
}

type Move = { from: StoreName; to: StoreName }
export type MoveControl = { report?(moved: Moved): void; isOver?(): boolean }

const BATCH = 100
const AT_ONCE = 4
/** Objects whose time is 0: nothing refers to them any more. */
const ALREADY_UNUSED = 1

/**
 * Moves all files and thumbnails of one store to the other, while servers use both. Throws the error of a store that
 * fails; a later move continues. `report` receives the same object after each file. `isOver`: whether to stop early.
 */
export async function moveMedia(app: App, move: Move, control: MoveControl = {}): Promise<Moved> {
  const moved: Moved = { objects: 0, bytes: 0, unmovable: new Map() }
  // Again until there is nothing new: a server may still store files where they come from.
  for (let before = -1; before < moved.objects; ) {
    before = moved.objects
    for (const list of [listFilesIn, listThumbnailsIn]) {
      let after = ''
      for (;;) {
        if (control.isOver?.()) return moved
        const objects = await list(app.database, { store: move.from, after, limit: BATCH })
        if (objects.length === 0) break
        after = objects.at(-1)!.objectKey
        await moveBatch(app, objects, { move, moved, control })
      }
    }
  }
  // Originals that an interrupted move has left.
  const unused = { store: move.from, cutoff: ALREADY_UNUSED, limit: BATCH }
  while ((await deleteOrphanedObjects(app, unused)) === BATCH);
  return moved
}

async function moveBatch(
  app: App,
  objects: readonly ObjectInStore[],
  { move, moved, control }: { move: Move; moved: Moved; control: MoveControl },
): Promise<void> {
  const inTurn = createConcurrencyLimit(AT_ONCE)
  const failures: unknown[] = []
  const moveOne = async (object: ObjectInStore): Promise<void> => {
    if (failures.length > 0 || control.isOver?.()) return
    const outcome = await moveObject(app, object, move)
    if (outcome === 'moved') {
      moved.objects++
      moved.bytes += object.size
    }
    if (outcome === 'moved' || outcome === 'gone') moved.unmovable.delete(object.objectKey)
    else moved.unmovable.set(object.objectKey, outcome)
    control.report?.(moved)
  }
  await Promise.all(objects.map((object) => inTurn(() => moveOne(object)).catch((error) => failures.push(error))))
  if (failures.length > 0) throw failures[0]
}
