/** Characters of scripts that put no spaces between words, and pictures: each pair of neighbours counts as a word. */
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{Extended_Pictographic}ー々]/u
const WORD = /[\p{L}\p{N}\p{M}\p{Extended_Pictographic}ー々]+/gu
/** Accents on Latin, Greek and Cyrillic letters, which those who search leave out. */
const ACCENTS = /[\u0300-\u036f]/g
const MAX_WORD = 64
const MAX_TOKENS = 3000

/**
 * The words by which a text is found, each once: lower case, without accents and without differences of width. Of text without spaces
 * between words (Chinese, Japanese, Korean, Thai, …) every character and every pair of neighbours.
 */
export function searchTokens(text: string): string[] {
  const tokens = new Set<string>()
  for (const run of searchRuns(text)) {
    for (const token of isUnspaced(run) ? [...run, ...pairsOf(run)] : [run]) tokens.add(token)
    if (tokens.size >= MAX_TOKENS) break
  }
  return [...tokens]
}

/** What a text has to have among its tokens to match a search term; `runs`: what it then has to have literally, see `containsRuns`. */
export function searchQuery(term: string): { tokens: string[]; runs: string[] } {
  const runs = [...new Set(searchRuns(term))]
  const tokens = new Set(runs.flatMap((run) => (isUnspaced(run) && [...run].length > 1 ? pairsOf(run) : [run])))
  return { tokens: [...tokens], runs: runs.filter((run) => isUnspaced(run) && [...run].length > 2) }
}

/** Whether a text has these runs of characters: pairs alone do not say that they follow on each other. */
export function containsRuns(text: string, runs: readonly string[]): boolean {
  if (runs.length === 0) return true
  const folded = fold(text)
  return runs.every((run) => folded.includes(run))
}

/** The words of a search term as somebody would see them in a text, for highlighting. */
export function highlightWords(term: string): string[] {
  return [...new Set(term.normalize('NFC').toLowerCase().match(WORD) ?? [])]
}

/** Words, and stretches of text without spaces; a change between the two kinds separates. */
function searchRuns(text: string): string[] {
  return (fold(text).match(WORD) ?? []).flatMap((word) => splitByKind(word))
}

function splitByKind(word: string): string[] {
  const runs: string[] = []
  let current = ''
  for (const character of word) {
    if (current !== '' && isUnspaced(current) !== UNSPACED.test(character) && !/\p{M}/u.test(character)) {
      runs.push(current)
      current = ''
    }
    current += character
  }
  return [...runs, current].map((run) => (isUnspaced(run) ? run : run.slice(0, MAX_WORD).toWellFormed()))
}

/** Of a run all characters are of one kind. */
function isUnspaced(run: string): boolean {
  return UNSPACED.test(String.fromCodePoint(run.codePointAt(0)!))
}

function pairsOf(run: string): string[] {
  const characters = [...run]
  return characters.slice(1).map((character, place) => characters[place]! + character)
}

function fold(text: string): string {
  return text.toWellFormed().normalize('NFKD').replace(ACCENTS, '').normalize('NFKC').toLowerCase()
}
