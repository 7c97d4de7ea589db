import { z } from 'zod'
import { findPurge, type HistoryPurge, purgeHistory } from '../../../services/rooms/administration/purge-history.ts'
import { eventId, opaqueName } from '../../http/fields.ts'
import { type AnyEndpoint, route } from '../../http/route.ts'
import { ofRoom, v1 } from '../admin-fields.ts'

const purge = z.object({
  purge_up_to_event_id: eventId.nullish(),
  purge_up_to_ts: z.int().min(0).nullish(),
  delete_local_events: z.boolean().default(false),
})

function upToOf(body: z.output<typeof purge>): HistoryPurge['upTo'] {
  if (body.purge_up_to_event_id) return { eventId: body.purge_up_to_event_id }
  return typeof body.purge_up_to_ts === 'number' ? { ts: body.purge_up_to_ts } : undefined
}

export const postPurge = route({
  method: 'POST',
  path: v1('/purge_history/:roomId'),
  auth: 'admin',
  params: ofRoom,
  body: purge,
  async handle({ params: { roomId }, body }, app) {
    return { purge_id: await purgeHistory(app, { roomId, upTo: upToOf(body), deleteLocal: body.delete_local_events }) }
  },
})

const postPurgeToEvent = route({
  method: 'POST',
  path: v1('/purge_history/:roomId/:eventId'),
  auth: 'admin',
  params: ofRoom.extend({ eventId }),
  body: purge.pick({ delete_local_events: true }),
  async handle({ params: { roomId, ...upTo }, body }, app) {
    return { purge_id: await purgeHistory(app, { roomId, upTo, deleteLocal: body.delete_local_events }) }
  },
})

const getPurge = route({
  method: 'GET',
  path: v1('/purge_history_status/:purgeId'),
  auth: 'admin',
  params: z.object({ purgeId: opaqueName }),
  handle: ({ params }, app) => findPurge(app, params.purgeId),
})

export const historyPurgeEndpoints: readonly AnyEndpoint[] = [postPurge, postPurgeToEvent, getPurge]
