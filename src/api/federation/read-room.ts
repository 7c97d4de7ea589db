import { z } from 'zod'
import {
  serveBackfill,
  serveEvent,
  serveEventAtTime,
  serveMissingEvents,
} from '../../services/federation/serving/serve-history.ts'
import { findStateBefore, serveEventAuth } from '../../services/federation/serving/serve-state.ts'
import { stateAnswer } from '../../services/federation/serving/state-answer.ts'
import { direction } from '../client/rooms/pagination-fields.ts'
import { eventId, queryInteger, roomId } from '../http/fields.ts'
import { route } from '../http/route.ts'
import { sendPieces } from '../http/send-pieces.ts'

const MAX_IDS = 100
const eventIds = z.array(eventId).max(MAX_IDS)

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1eventeventid */
export const getFederationEvent = route({
  method: 'GET',
  path: '/_matrix/federation/v1/event/:eventId',
  auth: 'server',
  params: z.object({ eventId }),
  handle: async ({ params, session }, app) => ({
    origin: app.serverName,
    origin_server_ts: app.clock.now(),
    pdus: [await serveEvent(app, session.origin, params.eventId)],
  }),
})

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1stateroomid */
export const getFederationState = route({
  method: 'GET',
  path: '/_matrix/federation/v1/state/:roomId',
  auth: 'server',
  params: z.object({ roomId }),
  query: z.object({ event_id: eventId }),
  async handle({ params, query, session, response, owner }, app) {
    const request = { origin: session.origin, roomId: params.roomId, eventId: query.event_id }
    return sendPieces(
      app,
      { response, owner },
      stateAnswer(app, { roomId: params.roomId, root: await findStateBefore(app, request) }, 'events'),
    )
  },
})

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1state_idsroomid */
export const getFederationStateIds = route({
  method: 'GET',
  path: '/_matrix/federation/v1/state_ids/:roomId',
  auth: 'server',
  params: z.object({ roomId }),
  query: z.object({ event_id: eventId }),
  async handle({ params, query, session, response, owner }, app) {
    const request = { origin: session.origin, roomId: params.roomId, eventId: query.event_id }
    return sendPieces(
      app,
      { response, owner },
      stateAnswer(app, { roomId: params.roomId, root: await findStateBefore(app, request) }, 'ids'),
    )
  },
})

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1event_authroomideventid */
export const getFederationEventAuth = route({
  method: 'GET',
  path: '/_matrix/federation/v1/event_auth/:roomId/:eventId',
  auth: 'server',
  params: z.object({ roomId, eventId }),
  handle: async ({ params, session, response, owner }, app) =>
    sendPieces(app, { response, owner }, await serveEventAuth(app, { origin: session.origin, ...params })),
})

/** https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1get_missing_eventsroomid */
export const postGetMissingEvents = route({
  method: 'POST',
  path: '/_matrix/federation/v1/get_missing_events/:roomId',
  auth: 'server',
  params: z.object({ roomId }),
  body: z.looseObject({
    earliest_events: eventIds,
    latest_events: eventIds,
    limit: z.int().min(0).default(10),
    min_depth: z.int().default(0),
  }),
  async handle({ params, body, session }, app) {
    const { earliest_events: earliest, latest_events: latest, limit, min_depth: minDepth } = body
    const gap = { earliest, latest, limit, minDepth }
    return { events: await serveMissingEvents(app, { origin: session.origin, roomId: params.roomId }, gap) }
  },
})

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1backfillroomid */
export const getBackfill = route({
  method: 'GET',
  path: '/_matrix/federation/v1/backfill/:roomId',
  auth: 'server',
  params: z.object({ roomId }),
  query: z.object({ v: z.union([eventId, z.array(eventId).max(MAX_IDS)]), limit: queryInteger }),
  async handle({ params, query, session }, app) {
    const asking = { origin: session.origin, roomId: params.roomId }
    const pdus = await serveBackfill(app, asking, { from: [query.v].flat(), limit: query.limit })
    return { origin: app.serverName, origin_server_ts: app.clock.now(), pdus }
  },
})

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1timestamp_to_eventroomid */
export const getFederationTimestampToEvent = route({
  method: 'GET',
  path: '/_matrix/federation/v1/timestamp_to_event/:roomId',
  auth: 'server',
  params: z.object({ roomId }),
  query: z.object({ ts: queryInteger, dir: direction }),
  handle: ({ params, query, session }, app) =>
    serveEventAtTime(app, { origin: session.origin, roomId: params.roomId }, { ts: query.ts, direction: query.dir }),
})
