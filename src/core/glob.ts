/**
 * Globs as Matrix defines them: `*` stands for any run of characters, `?` for exactly one.
 * https://spec.matrix.org/v1.19/appendices/#glob-style-matching
 *
 * Patterns come from users and other servers, so they are not turned into regular expressions: one with many `*` would
 * backtrack for minutes. Taking the leftmost place of each piece between two `*` is enough, and never goes back.
 * All of them compare case by case: who wants otherwise lower-cases the pattern and the text.
 */
export type Glob = (text: string) => boolean

/** Matches the whole text against `*` and `?`. */
export function compileGlob(pattern: string): Glob {
  if (!/[*?]/.test(pattern)) return (text) => text === pattern
  const pieces = pattern.split('*').map(pieceOf)
  return (text) => matchPieces(pieces, text, isAtStart, isAtEnd)
}

/**
 * Matches the whole text against `*` alone, as the event types of a filter:
 * https://spec.matrix.org/v1.19/client-server-api/#filtering
 */
export function compileWildcard(pattern: string): Glob {
  if (!pattern.includes('*')) return (text) => text === pattern
  const pieces = pattern.split('*').map((text) => ({ text, characters: undefined }))
  return (text) => matchPieces(pieces, text, isAtStart, isAtEnd)
}

/**
 * Matches any part of the text that starts and ends at a word boundary, as for `content.body` in push rules:
 * https://spec.matrix.org/v1.19/client-server-api/#conditions-1
 * An empty pattern names no word and matches only an empty text.
 */
export function compileWordGlob(pattern: string): Glob {
  if (pattern === '') return (text) => text === ''
  const pieces = pattern.split('*').map(pieceOf)
  return (text) => matchPieces(pieces, text, isWordBoundary, isWordBoundary)
}

/**
 * Whether the words stand somewhere in the text between two word boundaries, as for `contains_display_name`; `*` and
 * `?` mean themselves.
 */
export function containsWords(text: string, words: string): boolean {
  const piece = { text: words, characters: undefined }
  return findPiece(piece, text, { from: 0, mayStart: isWordBoundary, mayEnd: isWordBoundary }) !== -1
}

/** What stands between two `*`; its characters one by one where some are `?`. */
type Piece = { text: string; characters: string[] | undefined }
type Place = (text: string, index: number) => boolean

const anywhere: Place = () => true
const isAtStart: Place = (_text, index) => index === 0
const isAtEnd: Place = (text, index) => index === text.length

/** The text's start or end, or next to a character that is no ASCII letter, digit or underscore. */
function isWordBoundary(text: string, index: number): boolean {
  return index === 0 || index === text.length || !isWordAt(text, index - 1) || !isWordAt(text, index)
}

function isWordAt(text: string, index: number): boolean {
  const code = text.charCodeAt(index)
  return (code >= 97 && code <= 122) || (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || code === 95
}

function pieceOf(text: string): Piece {
  return { text, characters: text.includes('?') ? [...text] : undefined }
}

function matchPieces(pieces: Piece[], text: string, mayStart: Place, mayEnd: Place): boolean {
  let index = 0
  for (let i = 0; i < pieces.length; i += 1) {
    const piece = pieces[i] as Piece
    const last = i === pieces.length - 1
    index = findPiece(piece, text, {
      from: index,
      mayStart: i === 0 ? mayStart : anywhere,
      mayEnd: last ? mayEnd : anywhere,
    })
    if (index === -1) return false
  }
  return true
}

/** The end of the leftmost acceptable place of the piece, or −1. */
function findPiece(piece: Piece, text: string, place: { from: number; mayStart: Place; mayEnd: Place }): number {
  if (place.mayStart === isAtStart) {
    const end = matchAt(piece, text, 0)
    return end !== -1 && place.mayEnd(text, end) ? end : -1
  }
  // Where the end is fixed, only the last place can do: no need to try those before.
  const first = place.mayEnd === isAtEnd && !piece.characters ? text.length - piece.text.length : place.from
  for (
    let start = nextStart(piece, text, Math.max(first, place.from));
    start !== -1;
    start = nextStart(piece, text, start + 1)
  ) {
    const end = matchAt(piece, text, start)
    if (end !== -1 && place.mayStart(text, start) && place.mayEnd(text, end)) return end
  }
  return -1
}

function nextStart(piece: Piece, text: string, from: number): number {
  if (!piece.characters) return from > text.length ? -1 : text.indexOf(piece.text, from)
  let start = from
  // Half of a surrogate pair is not a character that `?` could stand for.
  while (isLowSurrogate(text, start)) start += 1
  return start > text.length ? -1 : start
}

function matchAt(piece: Piece, text: string, start: number): number {
  if (!piece.characters) return text.startsWith(piece.text, start) ? start + piece.text.length : -1
  let index = start
  for (const character of piece.characters) {
    if (character === '?') {
      if (index >= text.length) return -1
      index += isLowSurrogate(text, index + 1) ? 2 : 1
    } else {
      if (!text.startsWith(character, index)) return -1
      index += character.length
    }
  }
  return index
}

function isLowSurrogate(text: string, index: number): boolean {
  const code = text.charCodeAt(index)
  return code >= 0xdc00 && code <= 0xdfff
}
