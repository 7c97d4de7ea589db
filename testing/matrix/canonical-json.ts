import stringify from 'canonical-json'

/** Hearth accepts no deeper JSON, so tests cannot sign it either. */
const MAX_DEPTH = 512

/**
 * Returns the canonical JSON of a value as the library `canonical-json` writes it. `isStrict` also refuses numbers that
 * are no integers within ±(2^53−1), as room versions 6 and later do. Throws TypeError for a value without canonical
 * JSON.
 * https://spec.matrix.org/v1.19/appendices/#canonical-json
 */
export function canonicalJson(value: unknown, { isStrict = false } = {}): string {
  check(value, isStrict, 0)
  // Keys go by code points, which is the order of UTF-8. With a replacer the library does not copy into objects, which
  // would move keys that look like numbers.
  return stringify(
    value,
    (_key: string, item: unknown) => item,
    undefined,
    (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b)),
  ) as string
}

function check(value: unknown, isStrict: boolean, depth: number): void {
  if (typeof value === 'string' && !value.isWellFormed()) throw new TypeError('A text has a lone surrogate')
  if (typeof value === 'number' && !(isStrict ? Number.isSafeInteger(value) : Number.isFinite(value)))
    throw new TypeError(`${value} is no number of canonical JSON`)
  if (typeof value !== 'object' || value === null) return
  if (depth >= MAX_DEPTH) throw new TypeError('JSON nests too deeply')
  for (const [key, item] of Object.entries(value)) {
    check(key, isStrict, depth)
    check(item, isStrict, depth + 1)
  }
}
