/** Its capital is `I`, but Unicode folds it to itself. */
const DOTLESS_I = 'ı'

/**
 * Folds the case of a text, so that `ß` equals `SS` and `K` (the Kelvin sign) equals `k`. Differs from Unicode's full
 * case folding only in Cherokee letters, which come in small instead of capital form.
 * https://www.unicode.org/versions/Unicode13.0.0/ch05.pdf#G21790
 */
export function foldCase(text: string): string {
  // Letter by letter: JavaScript lowers a final sigma differently in a whole word.
  return Array.from(text, (letter) => (letter === DOTLESS_I ? letter : fold(letter))).join('')
}

/**
 * Converts to upper case first, because several small letters share one capital; the capital of `ẞ` is itself unless it
 * is lowered first.
 */
function fold(letter: string): string {
  return letter.toLowerCase().toUpperCase().toLowerCase()
}
