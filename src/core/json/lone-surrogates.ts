const BACKSLASH = 0x5c
const LOWER_U = 0x75

/**
 * Whether JSON (in UTF-8) contains a lone surrogate, which only an escape can express. Such text has no UTF-8: clients
 * in other languages cannot parse a response with it, and the database stores something else.
 * https://www.rfc-editor.org/rfc/rfc8259#section-8.2
 */
export function hasLoneSurrogates(bytes: Buffer): boolean {
  for (let at = bytes.indexOf(BACKSLASH); at >= 0; at = bytes.indexOf(BACKSLASH, at)) {
    const unit = escapedUnit(bytes, at)
    if (isLowSurrogate(unit)) return true
    if (isHighSurrogate(unit)) {
      if (!isLowSurrogate(escapedUnit(bytes, at + ESCAPE_LENGTH))) return true
      at += 2 * ESCAPE_LENGTH
    } else at += unit === undefined ? 2 : ESCAPE_LENGTH
  }
  return false
}

/** Of `\uXXXX`. */
const ESCAPE_LENGTH = 6

/** Returns the code unit of a `\uXXXX` escape; undefined for other escapes. */
function escapedUnit(bytes: Buffer, at: number): number | undefined {
  if (bytes[at] !== BACKSLASH || bytes[at + 1] !== LOWER_U) return undefined
  return Number.parseInt(bytes.toString('latin1', at + 2, at + ESCAPE_LENGTH), 16)
}

function isHighSurrogate(unit: number | undefined): boolean {
  return unit !== undefined && unit >= 0xd800 && unit <= 0xdbff
}

function isLowSurrogate(unit: number | undefined): boolean {
  return unit !== undefined && unit >= 0xdc00 && unit <= 0xdfff
}
