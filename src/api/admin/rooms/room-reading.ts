import { z } from 'zod'
import { NotFoundError } from '../../../core/errors.ts'
import { jsonAround, jsonItems } from '../../../core/json/json-pieces.ts'
import { requireRoom } from '../../../services/rooms/administration/describe-room.ts'
import { readSpaceHierarchy } from '../../../services/rooms/directory/space-hierarchy.ts'
import { findEventAtTime } from '../../../services/rooms/reading/event-at-time.ts'
import { readContext } from '../../../services/rooms/reading/read-context.ts'
import { readMessages } from '../../../services/rooms/reading/read-messages.ts'
import { serveState } from '../../../services/rooms/reading/read-state.ts'
import { filterFromQuery } from '../../../services/rooms/reading/timeline-filter.ts'
import { loadRoomMemberships } from '../../../storage/rooms/membership/room-memberships.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { findRefusalReason } from '../../../storage/rooms/timeline/refused-events.ts'
import { readStateInPieces } from '../../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { direction } from '../../client/rooms/pagination-fields.ts'
import { eventId, opaqueText, queryInteger, roomId } from '../../http/fields.ts'
import { type AnyEndpoint, route } from '../../http/route.ts'
import { sendPieces } from '../../http/send-pieces.ts'
import { ofRoom, v1 } from '../admin-fields.ts'

const asAdministrator = true

const getMembers = route({
  method: 'GET',
  path: v1('/rooms/:roomId/members'),
  auth: 'admin',
  params: ofRoom,
  async handle({ params }, app) {
    await requireRoom(app, params.roomId)
    const members = await loadRoomMemberships(app.database, params.roomId, ['join'])
    return { members: members.map(({ user_id: userId }) => userId), total: members.length }
  },
})

const getState = route({
  method: 'GET',
  path: v1('/rooms/:roomId/state'),
  auth: 'admin',
  params: ofRoom,
  query: z.object({ type: opaqueText.optional() }),
  async handle({ params, query: { type }, session: { userId, deviceId }, response, owner }, app) {
    const head = await requireRoom(app, params.roomId)
    const part = type === undefined || type === '' ? 'all' : type === 'm.room.member' ? 'members' : 'rest'
    const state = ofType(readStateInPieces(app.database, head.state_root, part), part === 'rest' ? type : undefined)
    const events = serveState(app, { ...params, userId, deviceId }, state)
    return sendPieces(app, { response, owner }, jsonAround('{"state":[', jsonItems(events), ']}'))
  },
})

const getMessages = route({
  method: 'GET',
  path: v1('/rooms/:roomId/messages'),
  auth: 'admin',
  params: ofRoom,
  query: z.object({
    dir: direction.default('forwards'),
    from: z.string().optional(),
    to: z.string().optional(),
    limit: queryInteger.optional(),
    filter: z.string().optional(),
  }),
  handle: ({ params, query: { dir, filter, ...range }, session: { userId, deviceId } }, app) =>
    readMessages(app, {
      ...{ ...params, ...range, userId, deviceId, asAdministrator, direction: dir },
      filter: filterFromQuery(filter),
    }),
})

const getContext = route({
  method: 'GET',
  path: v1('/rooms/:roomId/context/:eventId'),
  auth: 'admin',
  params: z.object({ roomId, eventId }),
  query: z.object({ limit: queryInteger.optional(), filter: z.string().optional() }),
  handle: ({ params, query: { limit, filter }, session: { userId, deviceId } }, app) =>
    readContext(app, { ...params, userId, deviceId, asAdministrator, limit, filter: filterFromQuery(filter) }),
})

const getEventAtTime = route({
  method: 'GET',
  path: v1('/rooms/:roomId/timestamp_to_event'),
  auth: 'admin',
  params: ofRoom,
  query: z.object({ ts: queryInteger, dir: direction.default('forwards') }),
  handle: ({ params, query, session: { userId } }, app) =>
    findEventAtTime(app, { ...params, userId, asAdministrator, ts: query.ts, direction: query.dir }),
})

/** Only rooms that this server has: other servers are not asked. */
const getHierarchy = route({
  method: 'GET',
  path: v1('/rooms/:roomId/hierarchy'),
  auth: 'admin',
  params: ofRoom,
  query: z.object({
    limit: queryInteger.min(1).optional(),
    max_depth: queryInteger.optional(),
    from: z.string().optional(),
  }),
  async handle({ params, query, session: { userId } }, app) {
    await requireRoom(app, params.roomId)
    const page = { limit: query.limit, maxDepth: query.max_depth, from: query.from }
    const command = { ...params, userId, asAdministrator, suggestedOnly: false, ...page }
    return readSpaceHierarchy(app, command, async () => undefined)
  },
})

/** The event as it is stored, whatever became of it. */
const getEvent = route({
  method: 'GET',
  path: v1('/fetch_event/:eventId'),
  auth: 'admin',
  params: z.object({ eventId }),
  async handle({ params }, app) {
    const [event] = await loadEventsById(app.database, [params.eventId])
    if (!event) throw new NotFoundError('Event not found')
    const isRefused = event.rejected || event.soft_failed
    const reason = isRefused ? await findRefusalReason(app.database, event.event_nid) : undefined
    const unsigned = {
      ...(event.soft_failed && { 'io.element.synapse.soft_failed': true }),
      ...(reason !== undefined && { [event.rejected ? 'hearth.rejected' : 'hearth.soft_failed']: reason }),
    }
    const isPlain = Object.keys(unsigned).length === 0
    return { event: { ...event.pdu, event_id: event.event_id, ...(!isPlain && { unsigned }) } }
  },
})

async function* ofType(pieces: AsyncIterable<StoredEvent[]>, type: string | undefined): AsyncGenerator<StoredEvent[]> {
  for await (const events of pieces) yield type === undefined ? events : events.filter(({ pdu }) => pdu.type === type)
}

export const administeredRoomEndpoints: readonly AnyEndpoint[] = [
  getMembers,
  getState,
  getMessages,
  getContext,
  getEventAtTime,
  getHierarchy,
  getEvent,
]
