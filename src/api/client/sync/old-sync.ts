import { z } from 'zod'
import { NotFoundError } from '../../../core/errors.ts'
import { readEvent } from '../../../services/rooms/reading/read-event.ts'
import { listenEvents } from '../../../services/sync/v3/listen-events.ts'
import { roomInitialSync, wholeInitialSync } from '../../../services/sync/v3/room-initial-sync.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { v3 } from '../../http/client-paths.ts'
import { eventId, queryBoolean, queryInteger, roomId } from '../../http/fields.ts'
import { type AnyEndpoint, route } from '../../http/route.ts'

const MAX_LIMIT = 100
const limit = queryInteger.default(10).transform((value) => Math.min(value, MAX_LIMIT))

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidinitialsync */
const getRoomInitialSync = route({
  method: 'GET',
  path: v3('/rooms/:roomId/initialSync'),
  auth: 'user',
  guests: true,
  params: z.object({ roomId }),
  query: z.object({ limit }),
  handle: ({ params, query, session: { userId, deviceId } }, app) =>
    roomInitialSync(app, { ...params, ...query, userId, deviceId }),
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3initialsync */
const getInitialSync = route({
  method: 'GET',
  path: v3('/initialSync'),
  auth: 'user',
  query: z.object({ limit, archived: queryBoolean.default(false) }),
  handle: ({ query, session: { userId, deviceId } }, app) => wholeInitialSync(app, { ...query, userId, deviceId }),
})

/** An empty token counts as absent. */
const fromToken = z
  .string()
  .optional()
  .transform((token) => token || undefined)

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3events */
const getEvents = route({
  method: 'GET',
  path: v3('/events'),
  auth: 'user',
  guests: true,
  query: z.object({ from: fromToken, timeout: queryInteger.default(0), room_id: roomId.optional() }),
  handle: ({ query: { room_id, ...query }, session: { userId, deviceId }, signal }, app) =>
    listenEvents(app, { ...query, roomId: room_id, userId, deviceId, signal }),
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3eventseventid */
const getEventById = route({
  method: 'GET',
  path: v3('/events/:eventId'),
  auth: 'user',
  params: z.object({ eventId }),
  async handle({ params, session: { userId, deviceId } }, app) {
    const [event] = await loadEventsById(app.database, [params.eventId])
    if (!event) throw new NotFoundError('The event does not exist, or you are not allowed to see it')
    return readEvent(app, { ...params, roomId: event.room_id, userId, deviceId })
  },
})

/** The endpoints that preceded /sync. Clients still use them to peek into rooms. */
export const oldSyncEndpoints: AnyEndpoint[] = [getRoomInitialSync, getInitialSync, getEvents, getEventById]
