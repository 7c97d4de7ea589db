import { z } from 'zod'
import { readEvent } from '../../../services/rooms/reading/read-event.ts'
import { v3 } from '../../http/client-paths.ts'
import { eventId, roomId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomideventeventid */
export const getEvent = route({
  method: 'GET',
  path: v3('/rooms/:roomId/event/:eventId'),
  auth: 'user',
  guests: true,
  params: z.object({ roomId, eventId }),
  handle: ({ params, session: { userId, deviceId } }, app) => readEvent(app, { ...params, userId, deviceId }),
})
