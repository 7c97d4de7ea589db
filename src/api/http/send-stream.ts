import type { ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { App } from '../../app.ts'
import { RESPONDED } from './route.ts'

/** Where an answer goes, and whose it is: a user, another server or a network. */
export type Recipient = { response: ServerResponse; owner: string }

/** What a stream that is read as it is sent has in memory. */
const STREAM_BYTES = 64 * 1024

/**
 * Sends a stream as fast as the client takes it, between `before` and `after`, and closes it, also when the client leaves early. The connection closes
 * when nothing is read for too long. Headers have been set or written. `bytes`: what is in memory until all is sent. Throws what reading the stream throws.
 */
export async function sendStream(
  app: Pick<App, 'unreadAnswers'>,
  { response, owner }: Recipient,
  content: { stream: Readable; bytes?: number; before?: Buffer; after?: Buffer },
): Promise<typeof RESPONDED> {
  const { stream, bytes = STREAM_BYTES, before, after } = content
  async function* body(): AsyncGenerator<Buffer> {
    if (before) yield before
    yield* stream
    if (after) yield after
  }
  let fault: unknown
  stream.once('error', (error) => {
    // When the client leaves, the stream ends with an error as well.
    if (!response.destroyed) fault = error
  })
  const release = app.unreadAnswers.hold({
    owner,
    bytes,
    taken: () => (response.socket ? response.socket.bytesWritten - response.socket.writableLength : 0),
    abandon: () => response.destroy(),
  })
  try {
    await pipeline(before || after ? body : stream, response).catch(() => {})
  } finally {
    release()
    // The pipeline leaves it open when the client has left before it began.
    stream.destroy()
  }
  if (fault !== undefined) throw fault
  return RESPONDED
}
