import { z } from 'zod'
import { parseRoomEventFilter } from '../../../core/filters/filter-schema.ts'
import { searchMessages } from '../../../services/search/search-messages.ts'
import { v3 } from '../../http/client-paths.ts'
import { jsonObject } from '../../http/fields.ts'
import { route } from '../../http/route.ts'

const KEYS = ['content.body', 'content.name', 'content.topic'] as const
const MAX_CONTEXT = 100
const contextLimit = z
  .int()
  .min(0)
  .default(5)
  .transform((limit) => Math.min(limit, MAX_CONTEXT))

const roomEvents = z.object({
  search_term: z.string(),
  keys: z.array(z.enum(KEYS)).default([...KEYS]),
  filter: jsonObject.default({}),
  order_by: z.enum(['recent', 'rank']).default('rank'),
  event_context: z
    .object({ before_limit: contextLimit, after_limit: contextLimit, include_profile: z.boolean().default(false) })
    .optional(),
  include_state: z.boolean().default(false),
  groupings: z
    .object({ group_by: z.array(z.object({ key: z.enum(['room_id', 'sender']) })).default([]) })
    .default({ group_by: [] }),
})

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3search */
export const postSearch = route({
  method: 'POST',
  path: v3('/search'),
  auth: 'user',
  suspendedUsers: true,
  rateLimit: 'search',
  query: z.object({ next_batch: z.string().optional() }),
  body: z.object({ search_categories: z.object({ room_events: roomEvents.optional() }) }),
  async handle({ query, body, session: { userId, deviceId } }, app) {
    const criteria = body.search_categories.room_events
    if (!criteria) return { search_categories: {} }
    const context = criteria.event_context
    const found = await searchMessages(app, {
      userId,
      deviceId,
      term: criteria.search_term,
      keys: criteria.keys,
      filter: parseRoomEventFilter(criteria.filter),
      order: criteria.order_by,
      context: context && {
        before: context.before_limit,
        after: context.after_limit,
        withProfiles: context.include_profile,
      },
      includeState: criteria.include_state,
      groupBy: criteria.groupings.group_by.map(({ key }) => key),
      nextBatch: query.next_batch || undefined,
    })
    return { search_categories: { room_events: found } }
  },
})
