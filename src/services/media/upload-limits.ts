import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { byteSizeText } from '../../core/text/byte-size.ts'
import type { Db, Tx } from '../../storage/engine/database.ts'
import { loadUploadedBytes, lockUploader } from '../../storage/media/uploaded-bytes.ts'

/** The page that shows users their limits. */
export const UPLOADS_PATH = '/account/uploads'

/** How much of a limit is used; `period` undefined: of all time. */
export type UploadUsage = { used: number; max: number; period: number | undefined }

/**
 * Throws M_USER_LIMIT_EXCEEDED if the user has not as many bytes left in every configured period. Uploads of the user in
 * other transactions, of all processes, wait for the end of this one.
 */
export async function holdUploadLimits(app: App, tx: Tx, upload: { uploader: UserId; size: number }): Promise<void> {
  if (app.config.media.upload_limits.length === 0) return
  await lockUploader(tx, upload.uploader)
  await checkUploadLimits(app, tx, upload)
}

/** As `holdUploadLimits`, without a guarantee: to refuse an upload before it is received. */
export async function checkUploadLimits(
  app: App,
  db: Db,
  { uploader, size }: { uploader: UserId; size: number },
): Promise<void> {
  const limits = app.config.media.upload_limits
  if (limits.length === 0) return
  const used = await loadUsed(app, db, uploader)
  const exceeded = limits.find(({ max_size }, place) => used[place]! + size > max_size)
  if (!exceeded) return
  const { info_uri = `${app.config.public_base_url}${UPLOADS_PATH}`, can_upgrade } = exceeded
  // https://github.com/matrix-org/matrix-spec-proposals/pull/4335
  throw new MatrixError(403, 'M_USER_LIMIT_EXCEEDED', describe(exceeded), {
    info_uri,
    ...(can_upgrade && { can_upgrade }),
  })
}

/** Returns how much of each limit a user has used. */
export async function loadUploadUsage(app: App, uploader: UserId): Promise<UploadUsage[]> {
  const used = await loadUsed(app, app.database, uploader)
  return app.config.media.upload_limits.map(({ max_size: max, time_period: period }, place) => ({
    used: used[place]!,
    max,
    period,
  }))
}

function loadUsed(app: App, db: Db, uploader: UserId): Promise<number[]> {
  const now = app.clock.now()
  const limits = app.config.media.upload_limits
  const starts = limits.map(({ time_period }) => (time_period === undefined ? 0 : now - time_period))
  return loadUploadedBytes(db, uploader, starts)
}

function describe({ max_size, time_period }: App['config']['media']['upload_limits'][number]): string {
  if (time_period === undefined)
    return `You can store ${byteSizeText(max_size)} on this server. Ask its administrators to delete files.`
  const hours = time_period / 3_600_000
  const period =
    hours >= 48
      ? `${Math.round(hours / 24)} days`
      : hours >= 2
        ? `${Math.round(hours)} hours`
        : `${Math.round(hours * 60)} minutes`
  return `You can upload ${byteSizeText(max_size)} within ${period}. Try again later.`
}
