import type { IncomingMessage } from 'node:http'
import { MatrixError } from '../../core/errors.ts'

/** Thrown where the client has closed the connection before it was answered, which is no fault of the server. */
export class ClientLeftError extends Error {
  constructor(cause?: unknown) {
    super('The client has closed the connection', { cause })
    this.name = new.target.name
  }
}

/**
 * The bytes of a body as they arrive. Throws ClientLeftError when the connection breaks. The connection stays open when the reader stops early, so that
 * an error can be answered.
 */
export async function* bodyOf(request: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    yield* request.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Buffer>
  } catch (error) {
    throw error instanceof MatrixError ? error : new ClientLeftError(error)
  }
}
