import { fileTypeFromBuffer } from 'file-type'
import type { App } from '../../app.ts'
import { type ByteSource, discardStagedFile, type StagedFile, stageFile } from '../../infra/object-store/staged-file.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { claimFile, lockFile } from '../../storage/media/media-files.ts'
import type { StoredObject } from '../../storage/schema/media.ts'
import { ContentRefusedError } from './content-refused.ts'
import { announceNewObject, dropObject } from './objects.ts'

type RecordMedia = (tx: Tx, sha256: string, size: number) => Promise<void>

/**
 * Stores the bytes of `source`, once per content, and calls `record` in the transaction that refers to the file; its
 * errors roll everything back. Throws M_TOO_LARGE as soon as the configured size is exceeded, and ContentRefusedError.
 */
export async function storeFile(app: App, source: ByteSource, record: RecordMedia): Promise<void> {
  const staged = await stageFile(app.media.objects.stagingFolder, source, app.config.media.max_upload_size)
  try {
    const newObject = await app.database.write(async (tx) => {
      const content = await lockFile(tx, staged.sha256)
      if (content.verdict === 'deny')
        throw new ContentRefusedError(staged.sha256, 'The administrators of this server do not allow this file')
      if (!content.isStored) return announceNewObject(app, tx)
      await record(tx, staged.sha256, staged.size)
      return undefined
    })
    if (newObject) await storeNewFile(app, { staged, object: newObject }, record)
  } finally {
    await discardStagedFile(staged)
  }
}

type NewFile = { staged: StagedFile; object: StoredObject }

async function storeNewFile(app: App, { staged, object }: NewFile, record: RecordMedia): Promise<void> {
  const { sha256, size, head } = staged
  const detectedType = (await fileTypeFromBuffer(head))?.mime ?? null
  await app.media.objects.put(object.objectKey, staged)
  const claimed = await app.database.write(async (tx) => {
    const file = { sha256, size, ...object, detectedType, isScanned: false, now: app.clock.now() }
    const isFirst = await claimFile(tx, file)
    await record(tx, sha256, size)
    return isFirst
  })
  // Not when the transaction throws: it may have committed although its result was lost. The sweep deletes orphaned
  // objects.
  if (!claimed) await dropObject(app, object)
}
