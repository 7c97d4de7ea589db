import type { App } from '../../app.ts'
import { discardStagedFile, stageFile } from '../../infra/object-store/staged-file.ts'
import { serverSecret } from '../../storage/engine/server-secrets.ts'

const KEY_LENGTH = 32

/**
 * Checks that this process uses the server's media store: a mount may be missing, or a folder not shared. The first
 * process to start writes a marker there, for which all others look. Returns whether it is there, and logs an error if
 * not.
 */
export async function checkMediaStore(app: App): Promise<boolean> {
  const mine = app.random.token(KEY_LENGTH)
  // Written before the others know of it, so that they never look too early.
  await putMark(app, mine)
  const mark = await serverSecret(app.database, 'media_store_mark', () => mine)
  if (mark === mine) return true
  await app.media.objects.delete(mine)
  if (await app.media.objects.has(mark)) return true
  app.logger.error(
    `The media store, ${app.media.objects.name}, does not contain the files of this server. Mount the folder or correct the bucket and prefix, and use the same store in all processes.`,
  )
  return false
}

async function putMark(app: App, key: string): Promise<void> {
  const content = Buffer.from(`The media of ${app.serverName}\n`)
  async function* source(): AsyncGenerator<Buffer> {
    yield content
  }
  const staged = await stageFile(app.media.objects.stagingFolder, source(), content.length)
  try {
    await app.media.objects.put(key, staged)
  } finally {
    await discardStagedFile(staged)
  }
}
