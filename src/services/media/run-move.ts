import type { App } from '../../app.ts'
import type { Config } from '../../config.ts'
import { MatrixError } from '../../core/errors.ts'
import { storeNamed } from '../../infra/object-store/object-stores.ts'
import { whyStoreFails } from '../../infra/object-store/store-unavailable.ts'
import { countObjectsIn } from '../../storage/media/stored-objects.ts'
import type { StoreName } from '../../storage/schema/media.ts'
import { checkMediaStore } from './check-media-store.ts'
import { type MoveControl, moveMedia, type Reason } from './move-media.ts'

/** The result of a move, and the objects that are left where it began. */
export type MoveResult = {
  to: StoreName
  moved: number
  moved_bytes: number
  left: number
  left_bytes: number
  unmovable: { object_key: string; reason: Reason }[]
}

const SLICE_MS = 15_000

/**
 * Moves all files and thumbnails to a store. Throws a MatrixError for the administrator if a store cannot be used, or new
 * files go to the other one. Only one process may move at a time.
 */
export async function runMove(app: App, to: StoreName, control: MoveControl = {}): Promise<MoveResult> {
  const from = to === 's3' ? 'disk' : 's3'
  const obstacle = whyNoMove(app.config.media, to)
  if (obstacle !== undefined) throw unmovable(obstacle)
  const { count: total } = await countObjectsIn(app.database, from)
  await requireStore(app, to)
  if (total > 0) await requireStore(app, from)
  const attempt = await moveMedia(app, { from, to }, control).catch((error) => ({ error }))
  const { count: left, bytes } = await countObjectsIn(app.database, from)
  if ('error' in attempt)
    throw unmovable(
      `${whyStoreFails(attempt.error)}\nThe move stopped with ${left} of ${total} files and thumbnails left. Nothing is lost: the server finds files in both stores. Correct the cause and run the same command again`,
    )
  const { objects: moved, bytes: moved_bytes } = attempt
  const reasons = [...attempt.unmovable].map(([object_key, reason]) => ({ object_key, reason }))
  return { to, moved, moved_bytes, left, left_bytes: bytes, unmovable: reasons }
}

/** Returns why files cannot be moved to a store, and what to do, if the configuration is the reason. */
export function whyNoMove({ s3, store }: Config['media'], to: StoreName): string | undefined {
  if (!s3) return 'media.s3.bucket is not set. Configure the bucket first; docs/media.md says how'
  if (store === to) return undefined
  return `New files go to ${store}, so a move to ${to} would not end. Set media.store: ${to}, restart all processes, and run this again`
}

/** Moves files for some seconds, for a command: the embedded database has room for one process. Throws as `runMove`. */
export async function runMoveSlice(app: App, to: StoreName): Promise<MoveResult> {
  // The command has checked the configuration file.
  if (whyNoMove(app.config.media, to) !== undefined)
    throw unmovable('It was started with other values of media.store or media.s3. Restart it, and run this again')
  const end = app.clock.now() + SLICE_MS
  return runMove(app, to, { isOver: () => app.stopping.aborted || app.clock.now() > end })
}

/** The folder may not be mounted here, or the bucket be another one. */
async function requireStore(app: App, store: StoreName): Promise<void> {
  const { name } = storeNamed(app.media.stores, store)
  const isRight = await checkMediaStore(app, store).catch((error) => {
    throw unmovable(`It is not possible to use ${name}: ${whyStoreFails(error)}`)
  })
  if (isRight) return
  throw unmovable(
    `The files of this server are not in ${name}. Run this on a machine that has them, with the same configuration as the server`,
  )
}

function unmovable(message: string): MatrixError {
  return new MatrixError(503, 'M_UNKNOWN', message)
}
