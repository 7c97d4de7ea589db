import { z } from 'zod'
import { queryInteger, roomId, userId } from '../http/fields.ts'

/** The paths of Synapse's admin API: https://element-hq.github.io/synapse/latest/usage/administration/admin_api/ */
export const v1 = (path: string) => `/_synapse/admin/v1${path}`
export const v2 = (path: string) => `/_synapse/admin/v2${path}`
/** The paths of Hearth's own admin API. */
export const hearthV1 = (path: string) => `/_hearth/admin/v1${path}`

const MAX_PAGE = 1000
/** Characters of a part of a name that a list looks for. */
export const MAX_TERM = 500

/** The query of a list: an offset and the size of a page. */
export const listPage = z.object({
  from: queryInteger.default(0),
  limit: queryInteger.default(100).transform((limit) => Math.min(limit, MAX_PAGE)),
})

/** A part of a name that a list looks for. */
export const searchTerm = z
  .string()
  .max(MAX_TERM)
  .refine((text) => !text.includes('\0'), 'cannot contain NUL')

/** The parameter of paths about a user. */
export const ofUser = z.object({ userId })
/** The parameter of paths about a room. */
export const ofRoom = z.object({ roomId })

/** Types of users: https://element-hq.github.io/synapse/latest/admin_api/user_admin_api.html */
export const typeOfUser = z.enum(['bot', 'support'])

/** Returns the offset of the next page, if more follow. */
export function nextToken(from: number, count: number, total: number): { next_token?: number } {
  return count > 0 && from + count < total ? { next_token: from + count } : {}
}
