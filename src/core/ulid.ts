import { createHash } from 'node:crypto'

declare const brand: unique symbol

/** An id in the admin API of the Matrix Authentication Service: https://github.com/ulid/spec */
export type Ulid = string & { readonly [brand]: 'Ulid' }

/** The parts of a ULID. */
export type UlidParts = {
  /** When the object was created, in milliseconds since 1970. */
  ts: number
  /** The start of the SHA-256 of its key, as 20 hexadecimal digits. */
  hash: string
}

const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const LENGTH = 26
const HASH_DIGITS = 20

/** Returns the ULID of an object by its time and its key. It is always the same, so that it need not be stored. */
export function ulidOf(ts: number, key: string): Ulid {
  const hash = createHash('sha256').update(key).digest('hex').slice(0, HASH_DIGITS)
  return render((BigInt(ts) << 80n) | BigInt(`0x${hash}`))
}

/** Returns the ULID that the Matrix Authentication Service stores as a UUID. */
export function ulidOfUuid(uuid: string): Ulid {
  return render(BigInt(`0x${uuid.replaceAll('-', '')}`))
}

function render(value: bigint): Ulid {
  let rest = value
  let text = ''
  for (let place = 0; place < LENGTH; place++) {
    text = DIGITS[Number(rest & 31n)]! + text
    rest >>= 5n
  }
  return text as Ulid
}

/** Parses a ULID; undefined if the text is none. */
export function parseUlid(text: string): Ulid | undefined {
  return /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/i.test(text) ? (text.toUpperCase() as Ulid) : undefined
}

/** Returns what a ULID is made of. */
export function partsOfUlid(id: Ulid): UlidParts {
  const value = [...id].reduce((sum, digit) => (sum << 5n) | BigInt(DIGITS.indexOf(digit)), 0n)
  const hash = (value & ((1n << 80n) - 1n)).toString(16).padStart(HASH_DIGITS, '0')
  return { ts: Number(value >> 80n), hash }
}
