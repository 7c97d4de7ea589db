import { z } from 'zod'
import { listRefusedEvents } from '../../../storage/rooms/timeline/refused-events.ts'
import { queryInteger, roomId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { hearthV1, listPage } from '../admin-fields.ts'

/** Lists events that this server refused, the newest first. `from` is the `next_token` of the page before. */
export const getRefusedEvents = route({
  method: 'GET',
  path: hearthV1('/rejected_events'),
  auth: 'admin',
  query: listPage.extend({
    from: queryInteger.optional(),
    room_id: roomId.optional(),
    outcome: z.enum(['rejected', 'soft_failed']).optional(),
  }),
  async handle({ query: { from = null, limit, room_id = null, outcome = null } }, app) {
    const found = await listRefusedEvents(app.database, { roomId: room_id, outcome, beyond: from, limit })
    const last = found.at(-1)
    return {
      events: found.map(({ event_nid: _nid, ...event }) => event),
      ...(last && found.length === limit && { next_token: last.event_nid }),
    }
  },
})
