import type { App } from '../../app.ts'
import { storeNamed } from '../../infra/object-store/object-stores.ts'
import { discardStagedFile, stageFile } from '../../infra/object-store/staged-file.ts'
import { serverSecret } from '../../storage/engine/server-secrets.ts'
import { hasObjectsIn } from '../../storage/media/stored-objects.ts'
import type { StoreName } from '../../storage/schema/media.ts'

const KEY_LENGTH = 32

/**
 * Checks that this process uses a media store of the server: a mount may be missing, or a folder not shared. The first
 * process that uses the store writes a marker there, for which all others look. Returns whether it is there, and logs an
 * error if not. False without an error for a store without objects.
 */
export async function checkMediaStore(app: App, store: StoreName): Promise<boolean> {
  const { stores } = app.media
  if (store !== stores.current && !(await hasObjectsIn(app.database, store))) return false
  if (!stores[store]) {
    app.logger.error(
      'Files of this server are in a bucket, but media.s3.bucket is not set. Set it; hearth media move --to disk moves them.',
    )
    return false
  }
  if (await hasMark(app, store)) return true
  app.logger.error(
    `The media store, ${stores[store].name}, does not contain the files of this server. Mount the folder or correct the bucket and prefix, and use the same store in all processes.`,
  )
  return false
}

async function hasMark(app: App, store: StoreName): Promise<boolean> {
  const objects = storeNamed(app.media.stores, store)
  let mine: string | undefined
  const mark = await serverSecret(app.database, `media_store_mark_${store}`, async () => {
    mine = app.random.token(KEY_LENGTH)
    // Before the others know of it, so that they never look too early.
    await putMark(app, store, mine)
    return mine
  })
  if (mark === mine) return true
  if (mine !== undefined) await objects.delete(mine)
  return (await objects.sizeOf(mark)) !== undefined
}

async function putMark(app: App, store: StoreName, key: string): Promise<void> {
  const objects = storeNamed(app.media.stores, store)
  const content = Buffer.from(`The media of ${app.serverName}\n`)
  async function* source(): AsyncGenerator<Buffer> {
    yield content
  }
  const staged = await stageFile(objects.stagingFolder, source(), content.length)
  try {
    await objects.put(key, staged)
  } finally {
    await discardStagedFile(staged)
  }
}

/** Whether a store answers and is the server's: in another one, objects of this server could not be deleted. */
export async function isStoreUsable(app: App, store: StoreName): Promise<boolean> {
  try {
    return await checkMediaStore(app, store)
  } catch (err) {
    app.logger.error({ err, store }, 'media store not usable for deletion, will retry')
    return false
  }
}
