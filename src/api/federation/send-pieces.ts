import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { RESPONDED } from '../http/route.ts'

/** Sends JSON as fast as the other server takes it. What fails on the way ends the connection, so that nobody takes a part for the whole. */
export async function sendPieces(response: ServerResponse, pieces: AsyncIterable<string>): Promise<typeof RESPONDED> {
  response.writeHead(200, { 'Content-Type': 'application/json' })
  await pipeline(Readable.from(pieces), response)
  return RESPONDED
}
