import type { IncomingMessage } from 'node:http'
import { MatrixError } from '../../core/errors.ts'
import { bodyOf } from '../http/client-left.ts'

/** The bytes of a body as they arrive. Throws when the client leaves, and 408 when nothing comes for `stallMs`; however slow it is otherwise. */
export async function* readUpload(request: IncomingMessage, stallMs: number): AsyncGenerator<Buffer> {
  const stalled = new MatrixError(408, 'M_UNKNOWN', 'The upload has stalled')
  const stall = () => request.destroy(stalled)
  request.setTimeout(stallMs, stall)
  try {
    yield* bodyOf(request)
  } finally {
    request.off('timeout', stall)
    request.setTimeout(0)
  }
}
