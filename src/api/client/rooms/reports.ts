import { z } from 'zod'
import { reportEvent, reportRoom, reportUser } from '../../../services/rooms/directory/reports.ts'
import { v3 } from '../../http/client-paths.ts'
import { eventId, roomId, userId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'

/** In characters: long enough for an explanation, too short to fill a disk. */
const reason = z.string().max(10_000)

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidreporteventid */
export const postReportEvent = route({
  method: 'POST',
  path: v3('/rooms/:roomId/report/:eventId'),
  auth: 'user',
  suspendedUsers: true,
  rateLimit: 'message',
  params: z.object({ roomId, eventId }),
  body: z.object({ reason: reason.optional(), score: z.int().min(-100).max(0).optional() }),
  async handle({ params, body, session }, app) {
    await reportEvent(app, { ...params, ...body, reporter: session.userId })
    return {}
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidreport */
export const postReportRoom = route({
  method: 'POST',
  path: [...v3('/rooms/:roomId/report'), '/_matrix/client/unstable/org.matrix.msc4151/rooms/:roomId/report'],
  auth: 'user',
  suspendedUsers: true,
  rateLimit: 'message',
  params: z.object({ roomId }),
  body: z.object({ reason }),
  async handle({ params, body, session }, app) {
    await reportRoom(app, { ...params, ...body, reporter: session.userId })
    return {}
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3usersuseridreport */
export const postReportUser = route({
  method: 'POST',
  path: [...v3('/users/:userId/report'), '/_matrix/client/unstable/org.matrix.msc4260/users/:userId/report'],
  auth: 'user',
  suspendedUsers: true,
  rateLimit: 'message',
  params: z.object({ userId }),
  body: z.object({ reason }),
  async handle({ params, body, session }, app) {
    await reportUser(app, { ...params, ...body, reporter: session.userId })
    return {}
  },
})
