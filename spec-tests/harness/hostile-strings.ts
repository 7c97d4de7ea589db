/** Random characters: a database cannot compress them to fit an index. */
function random(length: number, alphabet: string): string {
  const letters = [...alphabet]
  let seed = 1
  let text = ''
  for (let count = 0; count < length; count++) {
    seed = (seed * 48_271) % 2_147_483_647
    text += letters[seed % letters.length]
  }
  return text
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_'
/** Each takes four bytes in UTF-8 and two code units in UTF-16. */
const RARE = Array.from({ length: 64 }, (_, place) => String.fromCodePoint(0x20000 + 37 * place)).join('')

/** Strings that may break a database, a pattern, a URL or a JavaScript object. */
export const HOSTILE_STRINGS: readonly string[] = [
  'a\0b',
  '\0',
  'a\ud800',
  '\udc00b',
  random(3000, LETTERS),
  random(1000, RARE),
  '',
  ' ',
  '__proto__',
  'constructor',
  'toString',
  '\u0301'.repeat(200),
  '\u202e\u2066ab\u200f',
  '\ufeff',
  '\ufffe\uffff\u{10ffff}',
  '\u0001\u001b[2J\u007f\u0085\u2028',
  '%00%ff%2e%2e%2f',
  `'";--\\`,
  '%_\\',
  '*?[a-z]{1,2}(',
  '\n\r\nX-Header: 1\r\n\r\n',
]

/** As `encodeURIComponent`, for any string: a lone surrogate is encoded to the bytes that UTF-8 would have for it. */
export function encodeHostile(text: string): string {
  return [...text]
    .map((character) => {
      const point = character.codePointAt(0)!
      if (point < 0xd800 || point > 0xdfff) return encodeURIComponent(character)
      return [0xe0 | (point >> 12), 0x80 | ((point >> 6) & 0x3f), 0x80 | (point & 0x3f)]
        .map((byte) => `%${byte.toString(16)}`)
        .join('')
    })
    .join('')
}
