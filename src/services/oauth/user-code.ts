import type { Random } from '../../infra/random.ts'

/** No vowels, so that codes form no words: https://datatracker.ietf.org/doc/html/rfc8628#section-6.1 */
const LETTERS = 'BCDFGHJKLMNPQRSTVWXZ'
const LENGTH = 8
const GROUP = 4
/** The largest multiple of the number of letters that a byte can reach, so that all letters are equally likely. */
const FAIR_BYTES = 256 - (256 % LETTERS.length)

/** Generates a code that users can type: 8 letters, some 34 bits. Attempts to guess one have to be limited. */
export function newUserCode({ random }: { random: Random }): string {
  let code = ''
  while (code.length < LENGTH) {
    const fair = [...random.bytes(LENGTH)].filter((byte) => byte < FAIR_BYTES)
    code += fair.map((byte) => LETTERS[byte % LETTERS.length]).join('')
  }
  return code.slice(0, LENGTH)
}

/** Returns a code as users see it: in two groups. */
export function showUserCode(code: string): string {
  return `${code.slice(0, GROUP)}-${code.slice(GROUP)}`
}

/** Returns a code as it was made, from what a user typed; undefined if it cannot be one. */
export function parseUserCode(typed: string): string | undefined {
  const code = typed
    .normalize('NFKC')
    .toUpperCase()
    .replace(/[^\p{L}\p{N}]/gu, '')
  return code.length === LENGTH && [...code].every((letter) => LETTERS.includes(letter)) ? code : undefined
}
