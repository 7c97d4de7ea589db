import { z } from 'zod'
import type { App } from '../../../app.ts'
import type { EventId, RoomId } from '../../../core/ids.ts'
import { redactEvent } from '../../../services/rooms/sending/redact-event.ts'
import { transactionDevice } from '../../../services/users/session.ts'
import { v3 } from '../../http/client-paths.ts'
import { eventId, opaqueText, roomId } from '../../http/fields.ts'
import { route, type Session } from '../../http/route.ts'
import { pretendedEvent } from './pretended.ts'
import { contentWithOptionalReason } from './reason.ts'

/** https://github.com/matrix-org/matrix-spec-proposals/pull/3912 */
const WITH_RELATIONS = 'org.matrix.msc3912.with_relations'
const relTypes = z.array(z.string()).max(100).optional()

const place = { roomId, eventId }
const who = { auth: 'user', suspendedUsers: true, rateLimit: 'message' } as const
const body = contentWithOptionalReason.refine((content) => relTypes.safeParse(content[WITH_RELATIONS]).success, {
  path: [WITH_RELATIONS],
  message: 'is not a list of relation types',
})

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidredacteventidtxnid */
export const putRoomRedact = route({
  method: 'PUT',
  path: v3('/rooms/:roomId/redact/:eventId/:txnId'),
  ...who,
  params: z.object({ ...place, txnId: opaqueText }),
  body,
  pretend: (call, app) => pretendedEvent(app, call),
  handle: redact,
})

/** The form without a transaction ID, which bots still use. */
export const postRoomRedact = route({
  method: 'POST',
  path: v3('/rooms/:roomId/redact/:eventId'),
  ...who,
  params: z.object(place),
  body,
  pretend: (call, app) => pretendedEvent(app, call),
  handle: redact,
})

type Redacting = {
  params: { roomId: RoomId; eventId: EventId; txnId?: string }
  body: z.output<typeof body>
  session: Session
}

async function redact({ params, body, session }: Redacting, app: App): Promise<object> {
  const { redacts: _, [WITH_RELATIONS]: withRelTypes, ...content } = body
  const redactionId = await redactEvent(app, {
    roomId: params.roomId,
    sender: session.userId,
    redacts: params.eventId,
    content,
    ...(params.txnId !== undefined && { txn: { deviceId: transactionDevice(session), id: params.txnId } }),
    isAdmin: session.isAdmin,
    isSuspended: session.isSuspended,
    ...(withRelTypes !== undefined && { withRelTypes: withRelTypes as string[] }),
  })
  return { event_id: redactionId }
}
