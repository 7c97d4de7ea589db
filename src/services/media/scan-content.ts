import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import type { ScannedFile } from '../../infra/media/scanner.ts'
import { setContentRules } from '../../storage/media/content-rules.ts'
import type { StoredFile } from '../../storage/media/media.ts'
import { markFileScanned } from '../../storage/media/media-files.ts'
import { ContentRefusedError } from './content-refused.ts'
import { openFile } from './open-file.ts'
import { shorten } from './page-preview.ts'

/** Characters of a finding; it may quote names in the file, which its sender chose. */
const MAX_FINDING = 200

/**
 * Scans a file if a scanner is configured, and returns whether it is known to be clean. A finding denies the content
 * from then on. Throws ContentRefusedError, and 503 if the scanner fails, unless the configuration allows files then.
 */
export async function scanContent(app: App, file: ScannedFile): Promise<boolean> {
  if (!app.media.scan) return false
  const found = await app.media.scan(file).catch((err) => failed(app, err))
  if (found === null) return false
  if (found === undefined) return true
  const finding = shorten(found, MAX_FINDING)
  const rule = { verdict: 'deny', setBy: 'scanner', reason: finding, now: app.clock.now() } as const
  await app.database.write((tx) => setContentRules(tx, [file.sha256], rule))
  app.logger.warn({ sha256: Buffer.from(file.sha256, 'base64url').toString('hex'), finding }, 'file refused by scanner')
  throw new ContentRefusedError(file.sha256, `The scanner of this server refuses this file: ${finding}`)
}

function failed(app: App, err: unknown): null {
  app.logger.error({ err }, 'media scanner failed')
  if (app.config.media.scanner.on_failure === 'allow') return null
  throw new MatrixError(503, 'M_UNKNOWN', 'The file cannot be scanned for malware at the moment. Try again later.')
}

/** Scans a stored file that was not scanned when it was stored. Throws as `scanContent`. */
export async function scanStoredFile(app: App, file: StoredFile): Promise<void> {
  if (!app.media.scan || file.isScanned) return
  await app.media.scans(file.sha256, async () => {
    const { objectKey, size, sha256 } = file
    const isScanned = await scanContent(app, { open: () => openFile(app, objectKey), size, sha256 })
    if (isScanned) await app.database.write((tx) => markFileScanned(tx, sha256))
  })
}
