import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../../storage/engine/database.ts'
import { loadUploadedBytes, lockUploader } from '../../storage/media/uploaded-bytes.ts'
import { accountUrl } from '../users/account-management.ts'

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const

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
  const now = app.clock.now()
  const starts = limits.map(({ time_period }) => (time_period === undefined ? 0 : now - time_period))
  const used = await loadUploadedBytes(db, uploader, starts)
  const exceeded = limits.find(({ max_size }, place) => used[place]! + size > max_size)
  if (!exceeded) return
  const { info_uri = accountUrl(app), can_upgrade } = exceeded
  // https://github.com/matrix-org/matrix-spec-proposals/pull/4335
  throw new MatrixError(403, 'M_USER_LIMIT_EXCEEDED', describe(exceeded), {
    info_uri,
    ...(can_upgrade && { can_upgrade }),
  })
}

function describe({ max_size, time_period }: App['config']['media']['upload_limits'][number]): string {
  if (time_period === undefined)
    return `You can store ${sizeText(max_size)} on this server. Ask its administrators to delete files.`
  const hours = time_period / 3_600_000
  const period =
    hours >= 48
      ? `${Math.round(hours / 24)} days`
      : hours >= 2
        ? `${Math.round(hours)} hours`
        : `${Math.round(hours * 60)} minutes`
  return `You can upload ${sizeText(max_size)} within ${period}. Try again later.`
}

function sizeText(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10))
  return `${Number((bytes / 1024 ** power).toFixed(1))} ${UNITS[power]}`
}
