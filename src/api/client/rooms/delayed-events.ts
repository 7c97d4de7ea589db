import { z } from 'zod'
import { listDelayedEvents, readDelayedEvent } from '../../../services/rooms/delayed/list-delayed-events.ts'
import { DELAYED_EVENT_ACTIONS, manageDelayedEvent } from '../../../services/rooms/delayed/manage-delayed-event.ts'
import { scheduleEvent } from '../../../services/rooms/delayed/schedule-event.ts'
import { transactionDevice } from '../../../services/users/session.ts'
import { jsonObject, opaqueText, roomId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { membershipCounts } from './membership-counts.ts'
import { pretendedEvent } from './pretended.ts'
import { stickyDurationOf, stickyQuery } from './sticky-duration.ts'

/** https://github.com/matrix-org/matrix-spec-proposals/pull/4140 */
const UNSTABLE = '/_matrix/client/unstable/org.matrix.msc4140'

const delayId = opaqueText
const params = z.object({ delayId })
const delay = z.int().positive()

/** `?org.matrix.msc4140.delay=` of the endpoints that otherwise send immediately, in milliseconds. */
export const delayQuery = z.object({ 'org.matrix.msc4140.delay': z.coerce.number().pipe(delay).optional() })

/** Schedules a message or, with `state_key`, a state event. Earlier drafts named `delay_ms` `delay`. */
const putDelayedEvent = route({
  method: 'PUT',
  path: `${UNSTABLE}/rooms/:roomId/delayed_event/:eventType/:txnId`,
  auth: 'user',
  guests: true,
  rateLimit: 'delayed_event',
  alsoCounts: ({ params, body }) => membershipCounts(params.eventType, body.content.membership),
  params: z.object({ roomId, eventType: z.string(), txnId: opaqueText }),
  query: stickyQuery,
  body: z
    .object({
      delay_ms: delay.optional(),
      delay: delay.optional(),
      state_key: z.string().optional(),
      content: jsonObject,
    })
    .refine((body) => body.delay_ms ?? body.delay, { path: ['delay_ms'], error: 'is missing' }),
  pretend: (call, app) => pretendedEvent(app, call, { 'org.matrix.msc4140.delay': 1 }),
  async handle({ params: { eventType: type, ...at }, query, body, session }, app) {
    const { content, state_key: stateKey, delay_ms: delayMs, delay: olderName } = body
    const { userId: sender, isAdmin } = session
    const event = {
      ...at,
      sender,
      deviceId: transactionDevice(session),
      type,
      content,
      isAdmin,
      ...stickyDurationOf(query),
      delay: (delayMs ?? olderName)!,
    }
    return { delay_id: await scheduleEvent(app, { ...event, ...(stateKey !== undefined && { stateKey }) }) }
  },
})

const getDelayedEvents = route({
  method: 'GET',
  path: `${UNSTABLE}/delayed_events`,
  auth: 'user',
  guests: true,
  rateLimit: 'delayed_event',
  query: z.object({ status: z.enum(['scheduled', 'finalised']).optional() }),
  handle: ({ query, session }, app) => listDelayedEvents(app, session.userId, query.status),
})

const getDelayedEvent = route({
  method: 'GET',
  path: `${UNSTABLE}/delayed_events/:delayId`,
  auth: 'user',
  guests: true,
  rateLimit: 'delayed_event',
  params,
  handle: ({ params, session }, app) => readDelayedEvent(app, session.userId, params.delayId),
})

/**
 * Needs no token: the `delay_id` is the capability, which a client may give to a third party. Requests without a token
 * count by network, which many participants of calls may share: each restarts an event every few seconds.
 */
const actionEndpoints = DELAYED_EVENT_ACTIONS.map((action) =>
  route({
    method: 'POST',
    path: `${UNSTABLE}/delayed_events/:delayId/${action}`,
    auth: 'optional',
    suspendedUsers: true,
    params,
    async handle({ params }, app) {
      await manageDelayedEvent(app, params.delayId, action)
      return {}
    },
  }),
)

/** The form of earlier drafts, which the Rust SDK's widget driver uses. */
const postDelayedEvent = route({
  method: 'POST',
  path: `${UNSTABLE}/delayed_events/:delayId`,
  auth: 'optional',
  suspendedUsers: true,
  params,
  body: z.object({ action: z.enum(DELAYED_EVENT_ACTIONS) }),
  async handle({ params, body }, app) {
    await manageDelayedEvent(app, params.delayId, body.action)
    return {}
  },
})

export const delayedEventEndpoints = [
  putDelayedEvent,
  getDelayedEvents,
  getDelayedEvent,
  ...actionEndpoints,
  postDelayedEvent,
]
