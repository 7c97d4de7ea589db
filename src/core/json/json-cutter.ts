/** The text of a member of a JSON object, or of one item of a member that is a list. */
export type JsonPart = { key: string; text: string }

/** The text is not a JSON object, or a part is too large. */
export class MalformedJsonError extends Error {}

const SPACE = 0x20
const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_BRACKET = 0x5b
const BACKSLASH = 0x5c
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
/** Allows for indentation, and for blanks that keep a connection alive. */
const MAX_BLANKS = 64 * 1024

/**
 * Splits a JSON object that arrives in chunks into its members, and the lists named in `lists` into items, so that the
 * whole is never in memory. It finds only where parts end; they are validated when they are parsed, each at full speed
 * and with unchanged keys.
 */
export class JsonCutter {
  readonly #lists: ReadonlySet<string>
  readonly #maxPartBytes: number
  readonly #maxParts: number
  #parts = 0
  /** Consecutive blanks outside of parts. */
  #blanks = 0
  /** The number of open braces and brackets. */
  #depth = 0
  #isInString = false
  #isEscaped = false
  #isDone = false
  /** The key of the current member; undefined before it is known. */
  #key: string | undefined
  #isInList = false
  /** The start of the current part in this chunk; −1 if there is none. */
  #start = -1
  /** The bytes of the current part from earlier chunks. */
  #kept: Buffer[] = []
  #keptBytes = 0

  constructor(options: { lists: ReadonlySet<string>; maxPartBytes: number; maxParts: number }) {
    this.#lists = options.lists
    this.#maxPartBytes = options.maxPartBytes
    this.#maxParts = options.maxParts
  }

  /** Returns the parts that end in this chunk. Throws MalformedJsonError. */
  push(chunk: Buffer): JsonPart[] {
    const parts: JsonPart[] = []
    this.#start = this.#keptBytes > 0 ? 0 : -1
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!
      if (this.#isInString) this.#passInString(byte)
      else if (byte > SPACE) {
        if (this.#isBetweenParts() && isSeparator(byte)) this.#endPart(chunk, at, parts)
        else this.#pass(byte, at)
      } else if (this.#start < 0) this.#passBlank()
    }
    if (this.#start >= 0) this.#keep(chunk.subarray(this.#start))
    return parts
  }

  /** Throws MalformedJsonError unless the object has ended. */
  end(): void {
    if (!this.#isDone) throw new MalformedJsonError('the object is not closed')
  }

  #passInString(byte: number): void {
    if (this.#isEscaped) this.#isEscaped = false
    else if (byte === BACKSLASH) this.#isEscaped = true
    else if (byte === QUOTE) this.#isInString = false
  }

  #passBlank(): void {
    if (++this.#blanks > MAX_BLANKS) throw new MalformedJsonError('it is empty')
  }

  #isBetweenParts(): boolean {
    return this.#depth === 1 || (this.#depth === 2 && this.#isInList)
  }

  #pass(byte: number, at: number): void {
    if (this.#isDone) throw new MalformedJsonError('there is text after the object')
    if (this.#depth === 0 && byte !== OPEN_BRACE) throw new MalformedJsonError('it is no object')
    this.#blanks = 0
    const isList = byte === OPEN_BRACKET && this.#depth === 1 && this.#start < 0 && this.#lists.has(this.#key ?? '')
    if (isList && !this.#isInList) this.#isInList = true
    else if (this.#depth > 0 && this.#start < 0) this.#start = at
    if (byte === QUOTE) this.#isInString = true
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) this.#depth++
    else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) this.#depth--
  }

  #endPart(chunk: Buffer, at: number, parts: JsonPart[]): void {
    const text = this.#start < 0 ? undefined : this.#take(chunk.subarray(this.#start, at))
    this.#start = -1
    const byte = chunk[at]!
    if (this.#depth === 2) this.#endItem(byte, text, parts)
    else if (byte === COLON) this.#key = nameOf(text)
    else this.#endMember(byte, text, parts)
  }

  #endMember(byte: number, text: string | undefined, parts: JsonPart[]): void {
    if (byte === CLOSE_BRACKET) throw new MalformedJsonError('the object is not closed')
    const isWhole = this.#isInList ? text === undefined : (this.#key === undefined) === (text === undefined)
    if (!isWhole) throw new MalformedJsonError('a member lacks a name or value')
    if (text !== undefined) parts.push({ key: this.#key!, text })
    this.#key = undefined
    this.#isInList = false
    if (byte === CLOSE_BRACE) {
      this.#depth = 0
      this.#isDone = true
    }
  }

  #endItem(byte: number, text: string | undefined, parts: JsonPart[]): void {
    if (text !== undefined) parts.push({ key: this.#key!, text })
    if (byte === CLOSE_BRACKET) this.#depth = 1
    else if (byte !== COMMA) throw new MalformedJsonError('a list is not closed')
  }

  #take(last: Buffer): string {
    this.#keep(last)
    const text = this.#kept.length === 1 ? last.toString() : Buffer.concat(this.#kept).toString()
    this.#kept = []
    this.#keptBytes = 0
    if (++this.#parts > this.#maxParts) throw new MalformedJsonError('it has too many parts')
    return text
  }

  #keep(bytes: Buffer): void {
    this.#keptBytes += bytes.length
    if (this.#keptBytes > this.#maxPartBytes) throw new MalformedJsonError('a part is too large')
    this.#kept.push(bytes)
  }
}

function isSeparator(byte: number): boolean {
  return byte === COMMA || byte === COLON || byte === CLOSE_BRACE || byte === CLOSE_BRACKET
}

function nameOf(text: string | undefined): string {
  if (text === undefined || !/^\s*"/.test(text)) throw new MalformedJsonError('a member lacks a name')
  try {
    return String(JSON.parse(text))
  } catch {
    throw new MalformedJsonError('a member lacks a name')
  }
}
