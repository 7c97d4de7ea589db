import type { ServerResponse } from 'node:http'
import { type Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { App } from '../../app.ts'
import { freeMemory } from '../../infra/free-memory.ts'
import { RESPONDED } from './route.ts'

/** The target of a response, and the key to which its unread bytes count: a user, another server or a network. */
export type Recipient = { response: ServerResponse; owner: string }

/** Memory that a stream uses while it is read and sent. */
const STREAM_BYTES = 128 * 1024

/**
 * Sends a stream with back-pressure, between `before` and `after`, and destroys it, also when the client disconnects.
 * Closes the connection if the client reads nothing for too long. The headers must have been set or written. `bytes`:
 * the memory in use until all is sent. `isFreed`: nobody else uses the chunks, which are freed as soon as they are sent.
 * Throws errors of reading the stream.
 */
export async function sendStream(
  app: Pick<App, 'unreadAnswers'>,
  { response, owner }: Recipient,
  content: { stream: Readable; bytes?: number; before?: Buffer; after?: Buffer; isFreed?: boolean },
): Promise<typeof RESPONDED> {
  const { stream, bytes = STREAM_BYTES, before, after, isFreed } = content
  async function* body(): AsyncGenerator<Buffer> {
    if (before) yield before
    yield* stream
    if (after) yield after
  }
  let fault: unknown
  stream.once('error', (error) => {
    // When the client disconnects, the stream ends with an error too.
    if (!response.destroyed) fault = error
  })
  const release = holdUnread(app, { response, owner }, bytes)
  try {
    await pipeline(before || after ? body : stream, isFreed ? freeing(response) : response).catch(() => {})
  } finally {
    release()
    // The pipeline leaves the stream open if the client disconnected before it began.
    stream.destroy()
  }
  if (fault !== undefined) throw fault
  return RESPONDED
}

/** Passes chunks on to a response, and frees their memory when the socket has taken them. */
function freeing(response: ServerResponse): Writable {
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      response.write(chunk, (error) => {
        freeMemory(chunk)
        done(error)
      })
    },
    final: (done) => void response.end(done),
    destroy(error, done) {
      if (error) response.destroy()
      done(error)
    },
  })
  // Also when the client disconnects while the response has no socket yet.
  response.once('close', () => sink.destroy())
  response.on('error', (error) => sink.destroy(error))
  return sink
}

/** Counts the bytes of a response as unread until the returned function is called. */
export function holdUnread(app: Pick<App, 'unreadAnswers'>, { response, owner }: Recipient, bytes: number): () => void {
  return app.unreadAnswers.hold({
    owner,
    bytes,
    taken: () => (response.socket ? response.socket.bytesWritten - response.socket.writableLength : 0),
    abandon: () => response.destroy(),
  })
}
