import { z } from 'zod'
import { readRelations } from '../../../services/rooms/reading/relations.ts'
import { eventId, opaqueText, queryBoolean, queryInteger, roomId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { direction } from './pagination-fields.ts'

/** Bots still use the unstable prefix. */
const PATHS = ['v1', 'unstable'].map((version) => `/_matrix/client/${version}/rooms/:roomId/relations/:eventId`)

/**
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidrelationseventid and the two endpoints
 * after it.
 */
export const getRelations = route({
  method: 'GET',
  path: PATHS.flatMap((path) => [path, `${path}/:relType`, `${path}/:relType/:eventType`]),
  auth: 'user',
  params: z.object({ roomId, eventId, relType: opaqueText.optional(), eventType: opaqueText.optional() }),
  query: z.object({
    from: z.string().optional(),
    to: z.string().optional(),
    limit: queryInteger.optional(),
    dir: direction.default('backwards'),
    recurse: queryBoolean.optional(),
  }),
  handle: ({ params, query: { dir, ...range }, session: { userId, deviceId } }, app) =>
    readRelations(app, { ...params, ...range, userId, deviceId, direction: dir }),
})
