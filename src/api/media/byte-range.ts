import { parse } from 'range-parser'
import type { ByteRange } from '../../infra/object-store/object-store.ts'

/** Bits of the parser's `code`. */
const MALFORMED = 1

/**
 * Returns the part of a body of `size` bytes that a Range header requests. Undefined means the whole body, also for
 * malformed headers and for several ranges, as servers may answer them.
 * https://www.rfc-editor.org/rfc/rfc9110#section-14.2
 */
export function requestedRange(header: string | undefined, size: number): ByteRange | 'unsatisfiable' | undefined {
  if (header === undefined) return undefined
  const { code, type, ranges } = parse(size, header)
  if (type !== 'bytes' || (code & MALFORMED) !== 0 || ranges.length > 1) return undefined
  const [range] = ranges
  return range ? { start: range.start, end: range.end } : 'unsatisfiable'
}
