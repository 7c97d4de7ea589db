import stringify from 'canonical-json'
import { BadJsonError } from './errors.ts'
import type { Json } from './events/pdu.ts'

/** How deep objects and arrays may nest: beyond what events need, and well within what any recursive reader has stack for. */
const MAX_DEPTH = 512

export type CanonicalJsonOptions = {
  /** Only integers within ±(2^53−1), as room version 6 and later require. Default true. */
  strict?: boolean
}

/**
 * The canonical JSON text of a value, to hash and to sign. Numbers that `strict: false` lets through are written as JavaScript writes them,
 * so an integer beyond 2^53 that lost digits when it was parsed does not come back.
 * Throws BadJsonError where `assertCanonical` does. https://spec.matrix.org/v1.19/appendices/#canonical-json
 */
export function canonicalJson(value: Json | object, options?: CanonicalJsonOptions): string {
  assertNumbersAndDepth(value, options?.strict ?? true, 0)
  // The replacer is what keeps the library from copying into sorted objects, where integer-like keys and `__proto__` go astray.
  const text = stringify(value, keepValue, undefined, compareByCodePoint)
  if (text === undefined) throw new BadJsonError('Not a JSON value')
  assertWellFormed(text)
  return text
}

/** Throws BadJsonError for a value that has no canonical JSON: a number out of range, a lone surrogate, or nesting that is too deep. */
export function assertCanonical(value: unknown, options?: CanonicalJsonOptions): void {
  assertNumbersAndDepth(value, options?.strict ?? true, 0)
  assertStringsWellFormed(value)
}

function assertNumbersAndDepth(value: unknown, strict: boolean, depth: number): void {
  if (typeof value === 'number') {
    if (strict ? !Number.isSafeInteger(value) : !Number.isFinite(value)) {
      throw new BadJsonError(`Number ${value} is not an integer within ±(2^53−1)`)
    }
  } else if (typeof value === 'object' && value !== null) {
    if (depth >= MAX_DEPTH) throw new BadJsonError(`JSON is nested more than ${MAX_DEPTH} deep`)
    for (const item of Array.isArray(value) ? value : Object.values(value)) {
      assertNumbersAndDepth(item, strict, depth + 1)
    }
  } else if (typeof value === 'bigint') {
    throw new BadJsonError('Not a JSON value')
  }
}

function assertStringsWellFormed(value: unknown): void {
  if (typeof value === 'string') {
    assertWellFormed(value)
  } else if (Array.isArray(value)) {
    value.forEach(assertStringsWellFormed)
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      assertWellFormed(key)
      assertStringsWellFormed(item)
    }
  }
}

/** Half of a surrogate pair has no UTF-8 encoding, so nothing that holds one can be hashed. */
function assertWellFormed(text: string): void {
  if (!text.isWellFormed()) throw new BadJsonError('A string contains a lone surrogate')
}

function keepValue(_key: string, value: unknown): unknown {
  return value
}

/** Order by Unicode code point. It differs from JavaScript's own order, by UTF-16 code unit, above U+FFFF. */
function compareByCodePoint(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const unitA = a.charCodeAt(i)
    const unitB = b.charCodeAt(i)
    if (unitA !== unitB) {
      // Where only the low surrogates differ, code point and code unit order agree.
      return unitA < 0xd800 || unitB < 0xd800 ? unitA - unitB : codePoint(a, i) - codePoint(b, i)
    }
  }
  return a.length - b.length
}

function codePoint(text: string, index: number): number {
  return text.codePointAt(index) as number
}
