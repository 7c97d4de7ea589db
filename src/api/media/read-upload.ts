import type { IncomingMessage } from 'node:http'
import type { Config } from '../../config.ts'
import { MatrixError } from '../../core/errors.ts'
import { freeMemory } from '../../infra/free-memory.ts'
import { BodyTooSlowError, paced } from '../../infra/http/read-bounded.ts'
import type { ByteSource } from '../../infra/object-store/staged-file.ts'
import { bodyOf } from '../http/client-left.ts'

/**
 * Yields the bytes of an upload as they arrive, which may take hours at a steady rate. Throws 408 when nothing arrives
 * for `request_timeout`, or when the average rate after that time is below `min_upload_rate`. Throws ClientLeftError.
 */
export function readUpload(request: IncomingMessage, config: Config): ByteSource {
  return Object.assign(read(request, config), { free: freeMemory })
}

async function* read(request: IncomingMessage, { limits, media }: Config): AsyncGenerator<Buffer> {
  const stall = () => request.destroy(tooSlow())
  request.setTimeout(limits.request_timeout, stall)
  try {
    yield* paced(bodyOf(request), { patienceMs: limits.request_timeout, bytesPerSecond: media.min_upload_rate })
  } catch (error) {
    throw error instanceof BodyTooSlowError ? tooSlow() : error
  } finally {
    request.off('timeout', stall)
    request.setTimeout(0)
  }
}

function tooSlow(): MatrixError {
  return new MatrixError(408, 'M_UNKNOWN', 'The upload is too slow')
}
