/** One part of a multipart body; its content must be read before the next part. */
export type Part = { headers: ReadonlyMap<string, string>; content: AsyncIterable<Buffer> }

/** The text is not a multipart body. */
export class MalformedMultipartError extends Error {
  constructor(message: string) {
    super(`The multipart body is malformed: ${message}`)
    this.name = new.target.name
  }
}

const MAX_HEADER_BYTES = 16 * 1024
const NEWLINE = Buffer.from('\r\n')
const CLOSE = Buffer.from('--')
const BLANK_LINE = Buffer.from('\r\n\r\n')

/** Yields the parts of a multipart body (RFC 2046, section 5.1), one after the other; ignores preamble and epilogue. */
export async function* readParts(contentType: string, body: AsyncIterable<Buffer>): AsyncGenerator<Part> {
  const delimiter = Buffer.from(`\r\n--${boundaryOf(contentType)}`)
  const reader = new Reader(body)
  try {
    // The first delimiter may be at the very start, without a line end before it.
    reader.putBack(NEWLINE)
    for await (const _ of reader.until(delimiter));
    while (true) {
      if (await reader.startsWith(CLOSE)) return
      await reader.take(NEWLINE, MAX_HEADER_BYTES)
      // A part without headers starts with the blank line.
      reader.putBack(NEWLINE)
      const headers = parseHeaders(await reader.take(BLANK_LINE, MAX_HEADER_BYTES))
      const content = reader.until(delimiter)
      yield { headers, content }
      for await (const _ of content);
    }
  } finally {
    await reader.close()
  }
}

function boundaryOf(contentType: string): string {
  const [, quoted, plain] =
    /^multipart\/[\w-]+\s*;(?:.*;)?\s*boundary=(?:"([^"]+)"|([^\s;"]+))/i.exec(contentType) ?? []
  const boundary = quoted ?? plain
  if (boundary === undefined || boundary.length > 70) throw new MalformedMultipartError('it names no boundary')
  return boundary
}

function parseHeaders(block: Buffer): Map<string, string> {
  const headers = new Map<string, string>()
  for (const line of block
    .toString('utf8')
    .replace(/\r\n[ \t]+/g, ' ')
    .split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim())
  }
  return headers
}

/** Reads a stream up to one delimiter after the other. */
class Reader {
  readonly #source: AsyncIterator<Buffer>
  #held: Buffer = Buffer.alloc(0)
  #ended = false

  constructor(body: AsyncIterable<Buffer>) {
    this.#source = body[Symbol.asyncIterator]()
  }

  async #fill(): Promise<void> {
    const { done, value } = await this.#source.next()
    if (done) {
      this.#ended = true
      throw new MalformedMultipartError('it ends too early')
    }
    this.#held = this.#held.length === 0 ? value : Buffer.concat([this.#held, value])
  }

  /** Yields the chunks before `end`, which is consumed. After the end of the stream it yields nothing. */
  async *until(end: Buffer): AsyncGenerator<Buffer> {
    for (;;) {
      const place = this.#held.indexOf(end)
      if (place >= 0) {
        const last = this.#held.subarray(0, place)
        this.#held = this.#held.subarray(place + end.length)
        if (last.length > 0) yield last
        return
      }
      // The last bytes may be the start of the delimiter.
      const certain = this.#held.length - end.length + 1
      if (certain > 0) {
        const chunk = this.#held.subarray(0, certain)
        this.#held = this.#held.subarray(certain)
        yield chunk
      }
      await this.#fill()
    }
  }

  async take(end: Buffer, limit: number): Promise<Buffer> {
    for (;;) {
      const place = this.#held.indexOf(end)
      if (place >= 0) {
        const taken = this.#held.subarray(0, place)
        this.#held = this.#held.subarray(place + end.length)
        return taken
      }
      if (this.#held.length > limit) throw new MalformedMultipartError('its headers are too long')
      await this.#fill()
    }
  }

  async startsWith(bytes: Buffer): Promise<boolean> {
    while (this.#held.length < bytes.length) await this.#fill()
    return this.#held.subarray(0, bytes.length).equals(bytes)
  }

  putBack(bytes: Buffer): void {
    this.#held = Buffer.concat([bytes, this.#held])
  }

  async close(): Promise<void> {
    if (!this.#ended) await this.#source.return?.()
  }
}
