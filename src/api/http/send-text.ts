import { Readable } from 'node:stream'
import type { Context } from 'koa'
import type { App } from '../../app.ts'
import { sendStream } from './send-stream.ts'

/** Size of the first write: the socket buffers this much even if the client reads nothing. */
const PIECE_BYTES = 16 * 1024

/**
 * Sends a text; a large one in pieces as the client reads. `owner`: the key to which unread bytes count. The status and
 * other headers must have been set. Returns before all is read, so that the source of the text can be released.
 */
export function sendText(app: App, context: Context, { text, owner }: { text: string; owner: string }): void {
  if (text.length <= PIECE_BYTES || context.method === 'HEAD') {
    context.body = text
    return
  }
  const bytes = Buffer.from(text)
  const { res: response } = context
  context.respond = false
  context.length = bytes.length
  void sendStream(app, { response, owner }, { stream: Readable.from(piecesOf(bytes)), bytes: bytes.length })
}

function* piecesOf(bytes: Buffer): Generator<Buffer> {
  for (let start = 0; start < bytes.length; start += PIECE_BYTES) yield bytes.subarray(start, start + PIECE_BYTES)
}
