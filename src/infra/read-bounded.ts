/** Thrown where a body has more bytes than are wanted. */
export class BodyTooLargeError extends Error {
  constructor(limit: number) {
    super(`The answer has more than ${limit} bytes`)
    this.name = new.target.name
  }
}

/** Reads a whole body. Throws BodyTooLargeError, and ends the connection, beyond `limit` bytes. */
export async function readBounded(body: AsyncIterable<Buffer>, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of bounded(body, limit)) chunks.push(chunk)
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
}

/** The chunks of a body. Throws BodyTooLargeError, and ends the connection, beyond `limit` bytes. */
export async function* bounded(body: AsyncIterable<Buffer>, limit: number): AsyncGenerator<Buffer> {
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    // Leaving the loop destroys the stream.
    if (size > limit) throw new BodyTooLargeError(limit)
    yield chunk
  }
}
