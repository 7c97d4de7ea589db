import { z } from 'zod'
import { redactEvent } from '../../services/rooms/redact-event.ts'
import { eventId, roomId } from '../http/fields.ts'
import { route } from '../http/route.ts'
import { v3 } from './client-paths.ts'
import { contentWithOptionalReason } from './reason.ts'

/** https://github.com/matrix-org/matrix-spec-proposals/pull/3912 */
const WITH_RELATIONS = 'org.matrix.msc3912.with_relations'
const relTypes = z.array(z.string()).max(100).optional()

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidredacteventidtxnid */
export const putRoomRedact = route({
  method: 'PUT',
  path: v3('/rooms/:roomId/redact/:eventId/:txnId'),
  auth: 'user',
  suspendedUsers: true,
  rateLimit: 'message',
  params: z.object({ roomId, eventId, txnId: z.string().max(255) }),
  body: contentWithOptionalReason.refine((content) => relTypes.safeParse(content[WITH_RELATIONS]).success, {
    path: [WITH_RELATIONS],
    message: 'is not a list of relation types',
  }),
  async handle({ params, body, session }, app) {
    const { redacts: _, [WITH_RELATIONS]: withRelTypes, ...content } = body
    const redactionId = await redactEvent(app, {
      roomId: params.roomId,
      sender: session.userId,
      redacts: params.eventId,
      content,
      txn: { deviceId: session.deviceId, id: params.txnId },
      isAdmin: session.isAdmin,
      isSuspended: session.isSuspended,
      ...(withRelTypes !== undefined && { withRelTypes: withRelTypes as string[] }),
    })
    return { event_id: redactionId }
  },
})
