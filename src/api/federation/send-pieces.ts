import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { RESPONDED } from '../http/route.ts'
import { sendStream } from '../http/send-stream.ts'

/** Sends JSON as fast as the other server takes it. What fails on the way ends the connection, so that nobody takes a part for the whole. */
export function sendPieces(response: ServerResponse, pieces: AsyncIterable<string>): Promise<typeof RESPONDED> {
  response.writeHead(200, { 'Content-Type': 'application/json' })
  return sendStream(response, Readable.from(pieces))
}
