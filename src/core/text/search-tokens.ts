import { containsText, type Work } from './glob.ts'

/** Characters of scripts without spaces between words, and pictographs: each pair of neighbours counts as a word. */
const UNSPACED_SCRIPT =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{Extended_Pictographic}ー々]/u
const WORD = /[\p{L}\p{N}\p{M}\p{Extended_Pictographic}ー々]+/gu
/** Accents on Latin, Greek and Cyrillic letters, which users omit in searches. */
const ACCENTS = /[\u0300-\u036f]/g
const MAX_WORD = 64
const MAX_TOKENS = 3000
/**
 * The maximum characters of a search term, and of a text, after normalisation, which can multiply the length; the rest
 * is ignored.
 */
const MAX_TERM = 1000
const MAX_TEXT = 65_536
const MAX_RUNS = 32

/**
 * Returns the words by which a text is found, without duplicates: in lower case, without accents and differences of
 * width. In scripts without spaces (Chinese, Japanese, Korean, Thai, …), every character and every pair of neighbours
 * is a word.
 */
export function searchTokens(text: string): string[] {
  const tokens = new Set<string>()
  for (const run of searchRuns(text)) {
    for (const token of isUnspaced(run) ? [...run, ...pairsOf(run)] : [run]) tokens.add(token)
    if (tokens.size >= MAX_TOKENS) break
  }
  return [...tokens]
}

/**
 * Returns the tokens that a matching text must have; `runs`: strings that it must also contain literally, see
 * `containsRuns`.
 */
export function searchQuery(term: string): { tokens: string[]; runs: string[] } {
  const runs = [...new Set(searchRuns(term.slice(0, MAX_TERM)))]
  const tokens = new Set(runs.flatMap((run) => (isUnspaced(run) && [...run].length > 1 ? pairsOf(run) : [run])))
  return {
    tokens: [...tokens],
    runs: runs.filter((run) => isUnspaced(run) && [...run].length > 2).slice(0, MAX_RUNS),
  }
}

/**
 * Whether a text contains these runs of characters: pairs alone do not prove that they are adjacent. False if no steps
 * are left.
 */
export function containsRuns(text: string, runs: readonly string[], work: Work): boolean {
  if (runs.length === 0) return true
  work.left -= text.length
  if (work.left < 0) return false
  const folded = fold(text)
  return runs.every((run) => containsText(folded, run, work))
}

/** Returns the words of a search term as they appear in a text, for highlighting. */
export function highlightWords(term: string): string[] {
  const text = term.slice(0, MAX_TERM).normalize('NFC').toLowerCase()
  return [...new Set(text.match(WORD) ?? [])]
}

/** Splits into words and runs of text without spaces; a change between the two kinds separates. */
function searchRuns(text: string): string[] {
  return (fold(text).match(WORD) ?? []).flatMap((word) => splitByKind(word))
}

function splitByKind(word: string): string[] {
  const runs: string[] = []
  let start = 0
  let end = 0
  let kind: Kind | undefined
  for (const character of word) {
    const next = kindOf(character)
    if (kind === undefined) kind = next === MARK ? SPACED : next
    else if (next !== kind && next !== MARK) {
      runs.push(word.slice(start, end))
      start = end
      kind = next
    }
    end += character.length
  }
  return [...runs, word.slice(start)].map((run) => (isUnspaced(run) ? run : run.slice(0, MAX_WORD).toWellFormed()))
}

/** All characters of a run are of one kind. */
function isUnspaced(run: string): boolean {
  return kindOf(String.fromCodePoint(run.codePointAt(0)!)) === UNSPACED
}

type Kind = typeof SPACED | typeof UNSPACED | typeof MARK
const [SPACED, UNSPACED, MARK] = [1, 2, 3] as const
/** A cache of character kinds: a look-up with the expression takes a hundred times as long. */
const kinds = new Uint8Array(0x110000)

/** A combining mark belongs to the character before it. */
function kindOf(character: string): Kind {
  const code = character.codePointAt(0)!
  const known = kinds[code] as Kind | 0
  if (known !== 0) return known
  const kind = UNSPACED_SCRIPT.test(character) ? UNSPACED : /\p{M}/u.test(character) ? MARK : SPACED
  kinds[code] = kind
  return kind
}

function pairsOf(run: string): string[] {
  const characters = [...run]
  return characters.slice(1).map((character, place) => characters[place]! + character)
}

function fold(text: string): string {
  return text.toWellFormed().normalize('NFKD').slice(0, MAX_TEXT).replace(ACCENTS, '').normalize('NFKC').toLowerCase()
}
