/** Thrown where a body has more bytes than are wanted. */
export class BodyTooLargeError extends Error {
  constructor(limit: number) {
    super(`The answer has more than ${limit} bytes`)
    this.name = new.target.name
  }
}

/** Thrown where a body comes so slowly that it may as well not come. */
export class BodyTooSlowError extends Error {
  constructor() {
    super('the answer comes too slowly')
    this.name = new.target.name
  }
}

/** How slowly a body may come: at `bytesPerSecond` on average, after `patienceMs` during which it may come at any rate. */
type LeastPace = { patienceMs: number; bytesPerSecond: number }
const LEAST_PACE: LeastPace = { patienceMs: 20_000, bytesPerSecond: 1024 }

/** Reads a whole body. Throws BodyTooLargeError, and ends the connection, beyond `limit` bytes. */
export async function readBounded(body: AsyncIterable<Buffer>, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of bounded(body, limit)) chunks.push(chunk)
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
}

/** The chunks of a body. Throws BodyTooLargeError, and ends the connection, beyond `limit` bytes, and beyond what is left for several bodies. */
export async function* bounded(
  body: AsyncIterable<Buffer>,
  limit: number,
  left = { bytes: Number.POSITIVE_INFINITY },
): AsyncGenerator<Buffer> {
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    left.bytes -= chunk.length
    // Leaving the loop destroys the stream.
    if (size > limit || left.bytes < 0) throw new BodyTooLargeError(Math.min(size, limit))
    yield chunk
  }
}

/**
 * The chunks of a body that may take long as a whole, as long as it gets on. Throws BodyTooSlowError, and ends the connection, when it only trickles;
 * total silence is for the connection to notice. What the reader does in the meantime does not count. `now`: milliseconds.
 */
export async function* paced(
  body: AsyncIterable<Buffer>,
  { patienceMs, bytesPerSecond } = LEAST_PACE,
  now = () => performance.now(),
): AsyncGenerator<Buffer> {
  let waited = 0
  let size = 0
  let since = now()
  for await (const chunk of body) {
    waited += now() - since
    size += chunk.length
    if (waited > patienceMs + (size / bytesPerSecond) * 1000) throw new BodyTooSlowError()
    yield chunk
    since = now()
  }
}
