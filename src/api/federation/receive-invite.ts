import { z } from 'zod'
import { receiveInvite } from '../../services/federation/serving/receive-invite.ts'
import { eventId, jsonObject, roomId } from '../http/fields.ts'
import { route } from '../http/route.ts'

const params = z.object({ roomId, eventId })
const events = z.array(z.unknown()).catch([])

/**
 * https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1inviteroomideventid; only for room versions 1
 * and 2.
 */
export const putInviteV1 = route({
  method: 'PUT',
  path: '/_matrix/federation/v1/invite/:roomId/:eventId',
  auth: 'server',
  params,
  body: jsonObject,
  async handle({ params, body, session }, app) {
    const { unsigned, ...pdu } = body
    const roomState = events.parse((unsigned as { invite_room_state?: unknown } | undefined)?.invite_room_state)
    const event = await receiveInvite(app, { ...session, ...params, roomVersion: '1', pdu, roomState })
    return [200, { event }]
  },
})

/** https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2inviteroomideventid */
export const putInvite = route({
  method: 'PUT',
  path: '/_matrix/federation/v2/invite/:roomId/:eventId',
  auth: 'server',
  params,
  body: z.object({ room_version: z.string(), event: jsonObject, invite_room_state: events.optional() }),
  async handle({ params, body, session }, app) {
    const event = await receiveInvite(app, {
      ...session,
      ...params,
      roomVersion: body.room_version,
      pdu: body.event,
      roomState: body.invite_room_state ?? [],
    })
    return { event }
  },
})
