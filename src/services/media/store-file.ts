import { createReadStream } from 'node:fs'
import { fileTypeFromBuffer } from 'file-type'
import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import { type ByteSource, discardStagedFile, type StagedFile, stageFile } from '../../infra/object-store/staged-file.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { claimFile, lockFile, markFileScanned } from '../../storage/media/media-files.ts'
import type { StoredObject } from '../../storage/schema/media.ts'
import { ContentRefusedError } from './content-refused.ts'
import { announceNewObject, dropObject } from './objects.ts'
import { scanContent } from './scan-content.ts'

type RecordMedia = (tx: Tx, sha256: string, size: number) => Promise<void>

/**
 * Stores the bytes of `source`, once per content, and calls `record` in the transaction that refers to the file; its
 * errors roll everything back. Throws M_TOO_LARGE as soon as the configured size is exceeded, ContentRefusedError, and
 * 503 if the file has to be scanned and cannot.
 */
export async function storeFile(app: App, source: ByteSource, record: RecordMedia): Promise<void> {
  const staged = await stageFile(app.media.objects.stagingFolder, source, app.config.media.max_upload_size)
  try {
    let next = await recordStored(app, staged, { record, mustBeScanned: app.media.scan !== undefined })
    let isScanned = false
    if (next === 'needs a scan') {
      const { path, size, sha256 } = staged
      isScanned = await scanContent(app, { open: async () => createReadStream(path), size, sha256 })
      next = await recordStored(app, staged, { record, isScanned })
    }
    if (typeof next === 'object') await storeNewFile(app, { staged, isScanned, object: next }, record)
  } finally {
    await discardStagedFile(staged)
  }
}

/**
 * Calls `record` if the content is stored; otherwise announces an object for it. Throws ContentRefusedError if it is
 * denied.
 */
async function recordStored(
  app: App,
  { sha256, size }: StagedFile,
  {
    record,
    mustBeScanned = false,
    isScanned = false,
  }: { record: RecordMedia; mustBeScanned?: boolean; isScanned?: boolean },
): Promise<'recorded' | 'needs a scan' | StoredObject> {
  return app.database.write(async (tx) => {
    const content = await lockFile(tx, sha256)
    if (content.verdict === 'deny')
      throw new ContentRefusedError(sha256, 'The administrators of this server do not allow this file')
    if (mustBeScanned && !content.isScanned) return 'needs a scan'
    if (!content.isStored) return announceNewObject(app, tx)
    if (isScanned) await markFileScanned(tx, sha256)
    await record(tx, sha256, size)
    return 'recorded'
  })
}

type NewFile = { staged: StagedFile; object: StoredObject; isScanned: boolean }

async function storeNewFile(app: App, { staged, object, isScanned }: NewFile, record: RecordMedia): Promise<void> {
  const { sha256, size, head } = staged
  const detectedType = (await fileTypeFromBuffer(head))?.mime ?? null
  await app.media.objects.put(object.objectKey, staged)
  let claimed: boolean
  try {
    claimed = await app.database.write(async (tx) => {
      const file = { sha256, size, ...object, detectedType, isScanned, now: app.clock.now() }
      const isFirst = await claimFile(tx, file)
      await record(tx, sha256, size)
      return isFirst
    })
  } catch (error) {
    // At once, so that refused uploads do not fill the store. After errors of the database, the sweep does it: the
    // transaction may have committed although its result was lost.
    if (error instanceof MatrixError) await dropObject(app, object)
    throw error
  }
  if (!claimed) await dropObject(app, object)
}
