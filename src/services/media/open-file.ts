import type { Readable } from 'node:stream'
import type { App } from '../../app.ts'
import { NotFoundError } from '../../core/errors.ts'
import type { ByteRange } from '../../infra/object-store/object-store.ts'

/** Opens a stored object, or a range of its bytes. Throws M_NOT_FOUND and logs an error if the store has lost it. */
export async function openFile(app: App, objectKey: string, range?: ByteRange): Promise<Readable> {
  const stream = await app.media.objects.get(objectKey, range)
  if (stream) return stream
  app.logger.error({ object_key: objectKey }, 'file missing in media store')
  throw new NotFoundError('The file is missing on the server. Ask its uploader to send it again.')
}
