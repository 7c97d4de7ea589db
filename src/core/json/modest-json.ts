/** JSON that must not be parsed: it would need many times its size in memory, or overflow the stack. */
export class ExcessiveJsonError extends Error {
  /** True: nested too deep. False: too many values. */
  readonly isTooDeep: boolean
  constructor(isTooDeep: boolean) {
    super(isTooDeep ? 'the JSON nests too deeply' : 'the JSON has too many values')
    this.name = new.target.name
    this.isTooDeep = isTooDeep
  }
}

/** A list of empty objects takes twenty times its size once it is parsed. */
const MAX_VALUES = 500_000
/** Fits the stack of recursive parsers; events may nest 512 levels. */
const MAX_DEPTH = 600

const QUOTE = 0x22
const COMMA = 0x2c
const BACKSLASH = 0x5c
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

/** Throws ExcessiveJsonError for JSON (in UTF-8) that would exhaust memory or stack. Does not check the syntax. */
export function requireModestJson(bytes: Buffer): void {
  let values = 0
  let depth = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === QUOTE) at = endOfText(bytes, at)
    else if (byte === COMMA) values++
    else if (byte === OPEN_BRACKET || byte === OPEN_BRACE) {
      values++
      depth++
    } else if (byte === CLOSE_BRACKET || byte === CLOSE_BRACE) depth--
    if (values > MAX_VALUES || depth > MAX_DEPTH) throw new ExcessiveJsonError(depth > MAX_DEPTH)
  }
}

/** Returns the index of the quotation mark that ends a string. */
function endOfText(bytes: Buffer, start: number): number {
  for (let at = bytes.indexOf(QUOTE, start + 1); at >= 0; at = bytes.indexOf(QUOTE, at + 1)) {
    let backslashes = 0
    while (bytes[at - 1 - backslashes] === BACKSLASH) backslashes++
    if (backslashes % 2 === 0) return at
  }
  return bytes.length
}
