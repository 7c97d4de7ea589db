import { randomBytes, randomInt } from 'node:crypto'

/** The only source of randomness, so that tests can seed it. */
export type Random = {
  /** Cryptographically strong bytes. */
  bytes(count: number): Buffer
  /** A random string of letters and digits. */
  token(length: number): string
}

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** The system's randomness. */
export const systemRandom: Random = {
  bytes: randomBytes,
  token: (length) => Array.from({ length }, () => LETTERS[randomInt(LETTERS.length)]).join(''),
}
