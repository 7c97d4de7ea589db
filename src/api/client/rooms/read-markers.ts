import { z } from 'zod'
import { v3 } from '../../http/client-paths.ts'
import { eventId, roomId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { setOwnMarkers } from './own-markers.ts'

const MARKERS = ['m.fully_read', 'm.read', 'm.read.private'] as const

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidread_markers */
export const postReadMarkers = route({
  method: 'POST',
  path: v3('/rooms/:roomId/read_markers'),
  auth: 'user',
  suspendedUsers: true,
  params: z.object({ roomId }),
  body: z.object({
    'm.fully_read': eventId.optional(),
    'm.read': eventId.optional(),
    'm.read.private': eventId.optional(),
  }),
  async handle({ params: { roomId }, body, session }, app) {
    const markers = MARKERS.flatMap((type) => {
      const eventId = body[type]
      return eventId === undefined ? [] : { type, eventId }
    })
    await setOwnMarkers(app, session, { roomId, markers })
    return {}
  },
})
