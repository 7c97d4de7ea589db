import { z } from 'zod'
import { InvalidParamError } from '../../../core/errors.ts'
import {
  readThreadSubscription,
  subscribeToThread,
  unsubscribeFromThread,
} from '../../../services/rooms/sending/thread-subscriptions.ts'
import { threadSubscriptionChanges } from '../../../services/sync/sections/thread-subscription-changes.ts'
import { eventId, queryInteger, roomId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'

const path = '/_matrix/client/unstable/io.element.msc4306/rooms/:roomId/thread/:threadId/subscription'
const params = z.object({ roomId, threadId: eventId })

/** https://github.com/matrix-org/matrix-spec-proposals/pull/4306 */
const getThreadSubscription = route({
  method: 'GET',
  path,
  auth: 'user',
  params,
  handle: ({ params, session }, app) => readThreadSubscription(app, { ...params, userId: session.userId }),
})

/**
 * `automatic`: the event that caused the client to subscribe automatically. https://github.com/matrix-org/matrix-spec-proposals/pull/4306
 */
const putThreadSubscription = route({
  method: 'PUT',
  path,
  auth: 'user',
  suspendedUsers: true,
  params,
  body: z.object({ automatic: eventId.nullish() }),
  async handle({ params, body, session }, app) {
    await subscribeToThread(app, { ...params, userId: session.userId, cause: body.automatic ?? undefined })
    return {}
  },
})

/** https://github.com/matrix-org/matrix-spec-proposals/pull/4306 */
const deleteThreadSubscription = route({
  method: 'DELETE',
  path,
  auth: 'user',
  suspendedUsers: true,
  params,
  async handle({ params, session }, app) {
    await unsubscribeFromThread(app, { ...params, userId: session.userId })
    return {}
  },
})

const MAX_LIMIT = 512
const limit = queryInteger.pipe(z.int().min(1)).default(100)

/**
 * Lists, backwards, the changes that did not fit into the sliding sync extension.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4308
 */
const getThreadSubscriptions = route({
  method: 'GET',
  path: '/_matrix/client/unstable/io.element.msc4308/thread_subscriptions',
  auth: 'user',
  query: z.object({ dir: z.literal('b'), from: z.string().optional(), to: z.string().optional(), limit }),
  async handle({ query, session }, app) {
    const { changes, rest } = await threadSubscriptionChanges(app, session.userId, {
      from: query.to === undefined ? 0 : positionIn('to', query.to),
      to: query.from === undefined ? await app.stream.refresh() : positionIn('from', query.from),
      limit: Math.min(query.limit, MAX_LIMIT),
    })
    return { ...changes, ...(rest !== undefined && { end: threadSubscriptionToken(rest) }) }
  },
})

/** Returns the token of a stream position: `prev_batch` of the extension, `end` of a page. */
export function threadSubscriptionToken(position: number): string {
  return `h1_${position}`
}

/** Parses a token. `to` may also be the `pos` of a sliding sync. Throws M_INVALID_PARAM. */
function positionIn(name: 'from' | 'to', token: string): number {
  const position = /^h1_(\d{1,15})$/.exec(token)?.[1] ?? /^l1_\d{1,15}_\d{1,15}_(\d{1,15})$/.exec(token)?.[1]
  if (position === undefined) throw new InvalidParamError(`${name}: is no token of this server`)
  return Number(position)
}

export const threadSubscriptionEndpoints = [
  getThreadSubscription,
  putThreadSubscription,
  deleteThreadSubscription,
  getThreadSubscriptions,
]
