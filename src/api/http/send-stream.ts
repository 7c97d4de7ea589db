import type { ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { RESPONDED } from './route.ts'

const CLIENT_LEFT = [
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_STREAM_UNABLE_TO_PIPE',
  'ERR_STREAM_DESTROYED',
  'ECONNRESET',
  'EPIPE',
]

/**
 * Sends a stream as fast as the client takes it, between `before` and `after`, and closes it, also when the client leaves early. Headers have been
 * written. Throws what reading the stream throws.
 */
export async function sendStream(
  response: ServerResponse,
  stream: Readable,
  { before, after }: { before?: Buffer; after?: Buffer } = {},
): Promise<typeof RESPONDED> {
  async function* body(): AsyncGenerator<Buffer> {
    if (before) yield before
    yield* stream
    if (after) yield after
  }
  try {
    await pipeline(before || after ? body : stream, response)
  } catch (error) {
    if (!CLIENT_LEFT.includes((error as { code?: string }).code ?? '')) throw error
  } finally {
    // The pipeline leaves it open when the client has left before it began.
    stream.destroy()
  }
  return RESPONDED
}
