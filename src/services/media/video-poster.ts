import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import { grabFrame, VIDEO_FORMATS } from '../../infra/media/video-frame.ts'
import { discardStagedFile, stageFile } from '../../infra/object-store/staged-file.ts'
import type { StoredFile } from '../../storage/media/media.ts'
import { openFile } from './open-file.ts'

const RETRY_MS = 5000

/** Whether thumbnails of this file show a frame of a video. */
export function isVideoWithPoster(app: App, { detectedType }: StoredFile): boolean {
  return app.config.media.ffmpeg !== undefined && VIDEO_FORMATS.has(detectedType ?? '')
}

/**
 * Returns the first frame of a video as an image. Throws M_UNKNOWN if there is none, and M_LIMIT_EXCEEDED while too
 * many other videos wait.
 */
export async function grabPoster(app: App, file: StoredFile): Promise<Buffer> {
  const { turns, failed } = app.media.posters
  const frame = turns('ffmpeg', async () => {
    if (failed.has(file.sha256)) throw noFrame()
    return grab(app, file)
  })
  if (frame) return frame
  const retry = { retry_after_ms: RETRY_MS }
  throw new MatrixError(429, 'M_LIMIT_EXCEEDED', 'Too many videos wait for their thumbnails. Try again later.', retry)
}

async function grab(app: App, file: StoredFile): Promise<Buffer> {
  const { ffmpeg, max_image_pixels: maxPixels } = app.config.media
  // ffmpeg needs a local file in which it can seek.
  const staged = await stageFile(app.media.objects.stagingFolder, await openFile(app, file.objectKey), file.size)
  try {
    return await grabFrame(ffmpeg!, { path: staged.path, type: file.detectedType! }, { maxPixels })
  } catch (error) {
    app.media.posters.failed.set(file.sha256, true)
    app.logger.info({ err: error, sha256: file.sha256 }, 'no thumbnail of a video, ffmpeg failed')
    throw noFrame()
  } finally {
    await discardStagedFile(staged)
  }
}

function noFrame(): MatrixError {
  return new MatrixError(400, 'M_UNKNOWN', 'This video cannot be read')
}
