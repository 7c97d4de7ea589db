import type { IncomingMessage } from 'node:http'
import { MatrixError } from '../../core/errors.ts'

/** Thrown when the client has closed the connection before the response. It is not a fault of the server. */
export class ClientLeftError extends Error {
  constructor(cause?: unknown) {
    super('The client has closed the connection', { cause })
    this.name = new.target.name
  }
}

/**
 * Yields the bytes of a body as they arrive. Throws ClientLeftError when the connection breaks. The connection stays
 * open when the reader stops early, so that an error response can be sent.
 */
export async function* bodyOf(request: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    yield* request.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Buffer>
  } catch (error) {
    throw error instanceof MatrixError ? error : new ClientLeftError(error)
  }
}
