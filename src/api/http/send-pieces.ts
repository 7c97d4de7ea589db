import { Readable } from 'node:stream'
import type { App } from '../../app.ts'
import type { RESPONDED } from './route.ts'
import { type Recipient, sendStream } from './send-stream.ts'

/**
 * Sends JSON in pieces, with back-pressure. A failure closes the connection, so that the client does not accept a
 * partial response.
 */
export function sendPieces(
  app: Pick<App, 'unreadAnswers'>,
  recipient: Recipient,
  pieces: AsyncIterable<string>,
): Promise<typeof RESPONDED> {
  recipient.response.writeHead(200, { 'Content-Type': 'application/json' })
  return sendStream(app, recipient, { stream: Readable.from(pieces) })
}
