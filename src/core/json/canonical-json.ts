import { BadJsonError } from '../errors.ts'
import type { Json } from '../pdu.ts'

/**
 * The maximum nesting of objects and arrays: more than events need, and far below the stack limit of recursive parsers.
 */
const MAX_DEPTH = 512

export type CanonicalJsonOptions = {
  /** Only integers within ±(2^53−1), as room version 6 and later require. Default true. */
  strict?: boolean
}

/**
 * Returns the canonical JSON of a value, to hash and to sign. With `strict: false`, other numbers are written as
 * JavaScript does: an integer beyond 2^53 that lost digits in parsing differs. Throws BadJsonError where
 * `assertCanonical` does. https://spec.matrix.org/v1.19/appendices/#canonical-json
 */
export function canonicalJson(value: Json | object, options?: CanonicalJsonOptions): string {
  const text = write(value, options?.strict ?? true, 0)
  if (text === undefined) throw new BadJsonError('Not a JSON value')
  return text
}

/**
 * Hand-written, because this is a hot path: the library `canonical-json`, the reference of a property test, takes three
 * times as long.
 */
function write(value: unknown, strict: boolean, depth: number): string | undefined {
  switch (typeof value) {
    case 'string':
      return quote(value)
    case 'number':
      assertNumber(value, strict)
      // Not -0.
      return String(value === 0 ? 0 : value)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'bigint':
      throw new BadJsonError('Not a JSON value')
    case 'object':
      if (value === null) return 'null'
      assertDepth(depth)
      return Array.isArray(value) ? writeArray(value, strict, depth) : writeObject(value, strict, depth)
    default:
      return undefined
  }
}

/** Most strings need no escapes. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/

function quote(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`
  assertWellFormed(text)
  return JSON.stringify(text)
}

function writeArray(items: readonly unknown[], strict: boolean, depth: number): string {
  let text = '['
  for (const [place, item] of items.entries()) {
    if (place > 0) text += ','
    text += write(item, strict, depth + 1) ?? 'null'
  }
  return `${text}]`
}

function writeObject(object: object, strict: boolean, depth: number): string {
  let text = '{'
  for (const key of sortedKeys(object)) {
    const item = write(object[key as keyof object], strict, depth + 1)
    if (item !== undefined) text += `${text.length > 1 ? ',' : ''}${quote(key)}:${item}`
  }
  return `${text}}`
}

function sortedKeys(object: object): string[] {
  const keys = Object.keys(object)
  const isSorted = keys.every((key, place) => place === 0 || compareByCodePoint(keys[place - 1]!, key) < 0)
  return isSorted ? keys : keys.sort(compareByCodePoint)
}

/**
 * Throws BadJsonError for a value without canonical JSON: a number out of range, a lone surrogate, or too deep nesting.
 */
export function assertCanonical(value: unknown, options?: CanonicalJsonOptions): void {
  assertPart(value, options?.strict ?? true, 0)
}

function assertPart(value: unknown, strict: boolean, depth: number): void {
  if (typeof value === 'string') {
    assertWellFormed(value)
  } else if (typeof value === 'number') {
    assertNumber(value, strict)
  } else if (typeof value === 'object' && value !== null) {
    assertDepth(depth)
    if (Array.isArray(value)) for (const item of value) assertPart(item, strict, depth + 1)
    else assertMembers(value, strict, depth)
  } else if (typeof value === 'bigint') {
    throw new BadJsonError('Not a JSON value')
  }
}

function assertMembers(object: object, strict: boolean, depth: number): void {
  for (const key of Object.keys(object)) {
    assertWellFormed(key)
    assertPart(object[key as keyof object], strict, depth + 1)
  }
}

function assertNumber(value: number, strict: boolean): void {
  if (strict ? Number.isSafeInteger(value) : Number.isFinite(value)) return
  throw new BadJsonError(`Number ${value} is not an integer within ±(2^53−1)`)
}

function assertDepth(depth: number): void {
  if (depth >= MAX_DEPTH) throw new BadJsonError(`JSON is nested more than ${MAX_DEPTH} deep`)
}

/** A lone surrogate has no UTF-8 encoding, so a text with one cannot be hashed. */
function assertWellFormed(text: string): void {
  if (!text.isWellFormed()) throw new BadJsonError('A string contains a lone surrogate')
}

/** Compares by Unicode code point. JavaScript's order by UTF-16 code unit differs above U+FFFF. */
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
