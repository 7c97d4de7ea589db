import { TooLargeError } from './errors.ts'

/** The limits of one section of the configuration, such as `limits.sizes`, by key. */
type Limits<Key extends string> = Readonly<Record<Key, number>>

/** Throws TooLargeError if a text has more bytes than `limits.sizes[key]`. */
export function requireSize<Key extends string>(limits: { sizes: Limits<Key> }, key: Key, text: string): void {
  const most = limits.sizes[key]
  if (fits(text, most)) return
  throw new TooLargeError(`${nameOf(key)}: at most ${most} bytes are kept (limits.sizes.${key})`)
}

/** Whether a text has at most `most` bytes in UTF-8. */
export function fits(text: string, most: number): boolean {
  if (text.length > most) return false
  return text.length * 3 <= most || Buffer.byteLength(text) <= most
}

/** Throws TooLargeError if there are more bytes than `limits.totals[key]`. */
export function requireTotal<Key extends string>(limits: { totals: Limits<Key> }, key: Key, bytes: number): void {
  const most = limits.totals[key]
  if (bytes <= most) return
  throw new TooLargeError(`${nameOf(key)}: at most ${most} bytes are kept in all (limits.totals.${key})`)
}

/** Throws TooLargeError if there are more than `limits.counts[key]`. */
export function requireCount<Key extends string>(limits: { counts: Limits<Key> }, key: Key, count: number): void {
  const most = limits.counts[key]
  if (count <= most) return
  throw new TooLargeError(`${nameOf(key)}: there can be ${most} at most (limits.counts.${key})`)
}

function nameOf(key: string): string {
  return key.replaceAll('_', ' ')
}
