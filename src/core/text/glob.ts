/**
 * Globs as Matrix defines them: `*` matches any run of characters, `?` exactly one.
 * https://spec.matrix.org/v1.19/appendices/#glob-style-matching
 *
 * Patterns and texts are untrusted. Matching takes time linear in the text; a piece between two `*` that contains `?`
 * takes that time for each 32 characters of the piece. The leftmost match of each piece is sufficient, so there is no
 * backtracking. Matching is case-sensitive: callers lower-case both sides if needed.
 */
export type Glob = (text: string, work?: Work) => boolean

/** The remaining steps; a step examines one character. Without steps left nothing matches. */
export type Work = { left: number }

/** Matches the whole text against `*` and `?`. */
export function compileGlob(pattern: string): Glob {
  if (!/[*?]/.test(pattern)) return (text) => text === pattern
  const pieces = pattern.split('*').map(pieceOf)
  return (text, work = UNLIMITED) => matchPieces(pieces, { text, work, mayStart: isAtStart, mayEnd: isAtEnd })
}

/**
 * Matches the whole text against `*` alone, as the event types of a filter:
 * https://spec.matrix.org/v1.19/client-server-api/#filtering
 */
export function compileWildcard(pattern: string): Glob {
  if (!pattern.includes('*')) return (text) => text === pattern
  const pieces = pattern.split('*').map(literal)
  return (text, work = UNLIMITED) => matchPieces(pieces, { text, work, mayStart: isAtStart, mayEnd: isAtEnd })
}

/**
 * Matches any part of the text that starts and ends at a word boundary, as for `content.body` in push rules:
 * https://spec.matrix.org/v1.19/client-server-api/#conditions-1
 * An empty pattern names no word and matches only an empty text.
 */
export function compileWordGlob(pattern: string): Glob {
  if (pattern === '') return (text) => text === ''
  const pieces = pattern.split('*').map(pieceOf)
  return (text, work = UNLIMITED) =>
    matchPieces(pieces, { text, work, mayStart: isWordBoundary, mayEnd: isWordBoundary })
}

/**
 * Whether the words occur in the text between two word boundaries, as for `contains_display_name`; `*` and `?` are
 * literal.
 */
export function containsWords(text: string, words: string, work: Work = UNLIMITED): boolean {
  // Most texts do not contain the name, and they are compared with the name of each member.
  if (words.length <= SHORT && !text.includes(words)) {
    work.left -= text.length
    return false
  }
  return matchPieces([literal(words)], { text, work, mayStart: isWordBoundary, mayEnd: isWordBoundary })
}

/** Whether the words occur in the text, in linear time. */
export function containsText(text: string, words: string, work: Work): boolean {
  return matchPieces([literal(words)], { text, work, mayStart: anywhere, mayEnd: anywhere })
}

const UNLIMITED: Work = { left: Number.POSITIVE_INFINITY }

type Place = (text: string, index: number) => boolean
/** A text, and the places where a match may start and end. */
type Search = { text: string; work: Work; mayStart: Place; mayEnd: Place }
/** A part between two `*`: returns the end of its leftmost match at or after `from`; −1 if there is none. */
type Piece = (search: Search, from: number) => number

const anywhere: Place = () => true
const isAtStart: Place = (_text, index) => index === 0
const isAtEnd: Place = (text, index) => index === text.length

/**
 * Whether an index is at the start or end of the text, or next to a character that is not an ASCII letter, digit or
 * underscore.
 */
function isWordBoundary(text: string, index: number): boolean {
  return index === 0 || index === text.length || !isWordAt(text, index - 1) || !isWordAt(text, index)
}

function isWordAt(text: string, index: number): boolean {
  const code = text.charCodeAt(index)
  return (code >= 97 && code <= 122) || (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || code === 95
}

function matchPieces(pieces: readonly Piece[], { text, work, mayStart, mayEnd }: Search): boolean {
  const last = pieces.length - 1
  let index = 0
  for (const [place, find] of pieces.entries()) {
    const bounds = { mayStart: place === 0 ? mayStart : anywhere, mayEnd: place === last ? mayEnd : anywhere }
    index = find({ text, work, ...bounds }, index)
    if (index === -1) return false
  }
  return true
}

function pieceOf(text: string): Piece {
  return text.includes('?') ? wild(text) : literal(text)
}

/**
 * Up to this length the engine's own search is fastest. For longer texts its time may be the product of both lengths.
 */
const SHORT = 32

/** A piece without `?`. */
function literal(wanted: string): Piece {
  const { length } = wanted
  let borders: Uint32Array | undefined
  return (search, from) => {
    const { text, work, mayStart, mayEnd } = search
    const takes = (start: number) => mayStart(text, start) && mayEnd(text, start + length)
    if (mayStart === isAtStart) return text.startsWith(wanted) && takes(0) ? length : -1
    if (mayEnd === isAtEnd) return text.endsWith(wanted) && text.length - length >= from ? text.length : -1
    let start = from
    if (length <= SHORT) {
      start = text.indexOf(wanted, from)
      work.left -= (start === -1 ? text.length : start) - from + 1
      if (start === -1 || work.left < 0) return -1
      if (takes(start)) return start + length
    }
    if (length === 0) return nextPlace(search, start)
    borders ??= bordersOf(wanted)
    return findWithBorders(search, { wanted, borders, from: start })
  }
}

function nextPlace({ text, work, mayStart, mayEnd }: Search, from: number): number {
  for (let index = from; index <= text.length; index += 1) {
    if (--work.left < 0) return -1
    if (mayStart(text, index) && mayEnd(text, index)) return index
  }
  return -1
}

/**
 * For each prefix of the text, the length of its longest proper suffix that is also a prefix (the failure function of
 * Knuth, Morris and Pratt).
 */
function bordersOf(text: string): Uint32Array {
  const borders = new Uint32Array(text.length)
  for (let index = 1, border = 0; index < text.length; index += 1) {
    while (border > 0 && text[border] !== text[index]) border = borders[border - 1]!
    if (text[border] === text[index]) border += 1
    borders[index] = border
  }
  return borders
}

function findWithBorders(
  { text, work, mayStart, mayEnd }: Search,
  { wanted, borders, from }: { wanted: string; borders: Uint32Array; from: number },
): number {
  const { length } = wanted
  let matched = 0
  for (let index = from; index < text.length; index += 1) {
    if (--work.left < 0) return -1
    const code = text.charCodeAt(index)
    while (matched > 0 && wanted.charCodeAt(matched) !== code) matched = borders[matched - 1]!
    if (wanted.charCodeAt(matched) === code) matched += 1
    if (matched < length) continue
    if (mayStart(text, index + 1 - length) && mayEnd(text, index + 1)) return index + 1
    matched = borders[matched - 1]!
  }
  return -1
}

/** Longer pieces match nothing: their memory grows with the square of their length. */
const MAX_WILD = 256
const BITS = 32

/**
 * A piece with `?`. Each bit of the state is a prefix of the piece, set if the text read so far ends with it. So all
 * places are tried in parallel (the shift-and algorithm).
 */
function wild(wanted: string): Piece {
  const characters = [...wanted]
  if (characters.length > MAX_WILD) return () => -1
  const words = Math.ceil(characters.length / BITS)
  const lastBit = 1 << ((characters.length - 1) % BITS)
  const masks = masksOf(characters, words)
  const others = masks.get(ANY)!
  return ({ text, work, mayStart, mayEnd }, from) => {
    const state = new Uint32Array(words)
    for (let index = from; index < text.length; ) {
      work.left -= words
      if (work.left < 0) return -1
      const code = text.codePointAt(index)!
      step(state, masks.get(code) ?? others, mayStart(text, index))
      index += code > 0xffff ? 2 : 1
      if (state[words - 1]! & lastBit && mayEnd(text, index)) return index
    }
    return -1
  }
}

/** Any character that does not occur in the piece. */
const ANY = -1

/** For each character, the positions of the piece that it matches. */
function masksOf(characters: readonly string[], words: number): Map<number, Uint32Array> {
  const any = new Uint32Array(words)
  for (const [place, character] of characters.entries()) if (character === '?') setBit(any, place)
  const masks = new Map([[ANY, any]])
  for (const [place, character] of characters.entries()) {
    if (character === '?') continue
    const code = character.codePointAt(0)!
    const mask = masks.get(code) ?? any.slice()
    masks.set(code, mask)
    setBit(mask, place)
  }
  return masks
}

function setBit(bits: Uint32Array, place: number): void {
  bits[Math.floor(place / BITS)]! |= 1 << (place % BITS)
}

/** Advances the state by one character; `begins`: whether a match may start with it. */
function step(state: Uint32Array, mask: Uint32Array, begins: boolean): void {
  let carry = begins ? 1 : 0
  for (let word = 0; word < state.length; word += 1) {
    const before = state[word]!
    state[word] = ((before << 1) | carry) & mask[word]!
    carry = before >>> (BITS - 1)
  }
}
