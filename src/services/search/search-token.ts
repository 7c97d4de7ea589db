import { z } from 'zod'
import { InvalidParamError } from '../../core/errors.ts'
import type { SearchPlace } from '../../storage/search/search-index.ts'

/** Keys by which results can be grouped. */
export type GroupKey = 'room_id' | 'sender'

/** The start of the next page: after a position in the order, possibly within one group. */
export type SearchToken = { place: SearchPlace; group?: { key: GroupKey; value: string } | undefined }

const token = z.tuple([
  z.literal('s1'),
  z.int(),
  z.int(),
  z.enum(['room_id', 'sender']).nullable(),
  z.string().regex(/^[^\0]*$/),
])

/** Formats a `next_batch`. */
export function searchToken({ place, group }: SearchToken): string {
  const parts: z.infer<typeof token> = ['s1', place.value, place.nid, group?.key ?? null, group?.value ?? '']
  return Buffer.from(JSON.stringify(parts)).toString('base64url')
}

/** Parses a token. Throws M_INVALID_PARAM for tokens of other servers. */
export function parseSearchToken(text: string): SearchToken {
  let json: unknown
  try {
    json = JSON.parse(Buffer.from(text, 'base64url').toString())
  } catch {
    json = undefined
  }
  const parsed = token.safeParse(json)
  if (!parsed.success) throw new InvalidParamError('next_batch: is not from an answer to a search')
  const [, value, nid, key, groupValue] = parsed.data
  return { place: { value, nid }, group: key === null ? undefined : { key, value: groupValue } }
}
