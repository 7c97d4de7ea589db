import type { IncomingMessage } from 'node:http'
import { MatrixError } from '../../core/errors.ts'

const DISCARD_MS = 5000

/** The bytes of a body as they arrive. Throws when the client leaves, and 408 when nothing comes for `stallMs`; however slow it is otherwise. */
export async function* readUpload(request: IncomingMessage, stallMs: number): AsyncGenerator<Buffer> {
  const stalled = new MatrixError(408, 'M_UNKNOWN', 'The upload has stalled')
  const stall = () => request.destroy(stalled)
  request.setTimeout(stallMs, stall)
  try {
    // Stays open when the reader stops early, so that an error can be answered.
    yield* request.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Buffer>
  } finally {
    request.off('timeout', stall)
    request.setTimeout(0)
  }
}

/** Reads and forgets what a client still sends, for some seconds: many read the answer only then, and get none when the connection is closed before. */
export async function discardRest(request: IncomingMessage): Promise<void> {
  if (request.complete || request.destroyed) return
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer)
      request.off('end', done).off('close', done).off('error', done).pause()
      resolve()
    }
    const timer = setTimeout(done, DISCARD_MS)
    request.on('end', done).on('close', done).on('error', done).resume()
  })
}
