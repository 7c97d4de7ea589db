import { z } from 'zod'
import { InvalidParamError } from '../../../core/errors.ts'
import { v3 } from '../../http/client-paths.ts'
import { eventId, roomId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { setOwnMarkers } from './own-markers.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidreceiptreceipttypeeventid */
export const postReceipt = route({
  method: 'POST',
  path: v3('/rooms/:roomId/receipt/:receiptType/:eventId'),
  auth: 'user',
  suspendedUsers: true,
  params: z.object({ roomId, receiptType: z.enum(['m.read', 'm.read.private', 'm.fully_read']), eventId }),
  body: z.object({ thread_id: z.unknown().optional() }),
  async handle({ params: { roomId, receiptType, eventId }, body, session }, app) {
    const threadId = threadIdOf(body.thread_id)
    await setOwnMarkers(app, session, { roomId, markers: [{ type: receiptType, eventId, threadId }] })
    return {}
  },
})

/** The specification requires a different error code for this field than for others. */
function threadIdOf(value: unknown): string | undefined {
  if (value === undefined || (typeof value === 'string' && value !== '')) return value
  throw new InvalidParamError('thread_id must be a string that is not empty')
}
