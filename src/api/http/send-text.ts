import { Readable } from 'node:stream'
import type { Context } from 'koa'
import type { App } from '../../app.ts'
import { holdUnread, type Recipient, sendStream } from './send-stream.ts'

/** The socket buffers this much even if the client reads nothing, so it does not count as unread. */
const BUFFERED_BYTES = 16 * 1024
/** Up to this length one write is cheaper than pieces: each piece costs a system call and a wait. */
const WHOLE_LENGTH = 128 * 1024
const PIECE_BYTES = 64 * 1024

/**
 * Sends a text; a large one in pieces as the client reads. `owner`: the key to which unread bytes count. The status and
 * other headers must have been set. Returns before all is read, so that the source of the text can be released.
 */
export function sendText(app: App, context: Context, { text, owner }: { text: string; owner: string }): void {
  if (text.length <= BUFFERED_BYTES || context.method === 'HEAD') {
    context.body = text
    return
  }
  context.respond = false
  if (text.length <= WHOLE_LENGTH) {
    context.length = Buffer.byteLength(text)
    sendWhole(app, { response: context.res, owner }, { text, bytes: context.length })
    return
  }
  const bytes = Buffer.from(text)
  context.length = bytes.length
  void sendStream(
    app,
    { response: context.res, owner },
    { stream: Readable.from(piecesOf(bytes)), bytes: bytes.length },
  )
}

function sendWhole(app: App, recipient: Recipient, { text, bytes }: { text: string; bytes: number }): void {
  // The client has left, and the event below has passed.
  if (recipient.response.destroyed) return
  const release = holdUnread(app, recipient, bytes)
  recipient.response.once('close', release).end(text)
}

function* piecesOf(bytes: Buffer): Generator<Buffer> {
  for (let start = 0; start < bytes.length; start += PIECE_BYTES) yield bytes.subarray(start, start + PIECE_BYTES)
}
