import { z } from 'zod'
import { queryInteger } from '../http/fields.ts'

const MAX_PAGE = 1000

/** The query of a list: an offset and the size of a page. */
export const listPage = z.object({
  from: queryInteger.default(0),
  limit: queryInteger.default(100).transform((limit) => Math.min(limit, MAX_PAGE)),
})

/** Returns the offset of the next page, if more follow. */
export function nextToken(from: number, count: number, total: number): { next_token?: number } {
  return count > 0 && from + count < total ? { next_token: from + count } : {}
}

/** Returns a hash as administrators and their tools write it. */
export function hexOf(sha256: string): string {
  return Buffer.from(sha256, 'base64url').toString('hex')
}
