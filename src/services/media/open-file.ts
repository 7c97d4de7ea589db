import type { Readable } from 'node:stream'
import type { App } from '../../app.ts'
import { NotFoundError } from '../../core/errors.ts'
import type { ByteRange } from '../../infra/object-store/object-store.ts'
import { StoreUnavailableError } from '../../infra/object-store/store-unavailable.ts'
import { findStoreOf } from '../../storage/media/stored-objects.ts'

/**
 * Opens a stored object, or a range of its bytes. Logs an error and throws M_NOT_FOUND if the store has lost it, or
 * StoreUnavailableError if this process does not know its store.
 */
export async function openFile(app: App, objectKey: string, range?: ByteRange): Promise<Readable> {
  const stream = await app.media.objects.get(objectKey, range)
  if (stream) return stream
  const store = await findStoreOf(app.database, objectKey)
  app.logger.error({ object_key: objectKey, store }, 'file missing in media store')
  if (store && !app.media.stores[store]) throw new StoreUnavailableError(new Error(`${store} is not configured`))
  throw new NotFoundError('The file is missing on the server. Ask its uploader to send it again.')
}
