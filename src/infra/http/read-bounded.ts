/** A body has more bytes than allowed. */
export class BodyTooLargeError extends Error {
  constructor(limit: number) {
    super(`The answer has more than ${limit} bytes`)
    this.name = new.target.name
  }
}

/** A body arrives too slowly. */
export class BodyTooSlowError extends Error {
  constructor() {
    super('the response is too slow')
    this.name = new.target.name
  }
}

/** The minimum speed of a body: `bytesPerSecond` on average, after a grace period of `patienceMs`. */
type LeastPace = { patienceMs: number; bytesPerSecond: number }
const LEAST_PACE: LeastPace = { patienceMs: 20_000, bytesPerSecond: 1024 }

/** Reads a whole body. Beyond `limit` bytes, throws BodyTooLargeError and closes the connection. */
export async function readBounded(body: AsyncIterable<Buffer>, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of bounded(body, limit)) chunks.push(chunk)
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
}

/**
 * Yields the chunks of a body. Throws BodyTooLargeError and closes the connection beyond `limit` bytes, and beyond the
 * shared budget of several bodies.
 */
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
 * Yields the chunks of a body of any total duration. Throws BodyTooSlowError and closes the connection if it is too
 * slow; the connection's own timeout handles silence. The time that the reader takes does not count. `now`:
 * milliseconds.
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
