import { Readable } from 'node:stream'
import type { Context } from 'koa'
import type { App } from '../../app.ts'
import { sendStream } from './send-stream.ts'

/** What goes at once: a connection takes so much even if nobody reads. */
const PIECE_BYTES = 16 * 1024

/**
 * Answers with a text, a large one piece by piece as it is read. `owner`: whose answer it is. The status and other headers have been set. Returns before
 * it is read: while that takes long, what the text was made of need not be kept.
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
