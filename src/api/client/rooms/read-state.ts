import { z } from 'zod'
import { jsonAround, jsonItems } from '../../../core/json/json-pieces.ts'
import { readState, readStateAt } from '../../../services/rooms/reading/read-state.ts'
import { v3 } from '../../http/client-paths.ts'
import { roomId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { sendPieces } from '../../http/send-pieces.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidstate */
export const getRoomState = route({
  method: 'GET',
  path: v3('/rooms/:roomId/state'),
  auth: 'user',
  guests: true,
  params: z.object({ roomId }),
  async handle({ params, session: { userId, deviceId }, response, owner }, app) {
    const events = await readState(app, { ...params, userId, deviceId })
    return sendPieces(app, { response, owner }, jsonAround('[', jsonItems(events), ']'))
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidstateeventtypestatekey */
export const getRoomStateAt = route({
  method: 'GET',
  path: [...v3('/rooms/:roomId/state/:eventType'), ...v3('/rooms/:roomId/state/:eventType/:stateKey')],
  auth: 'user',
  guests: true,
  params: z.object({ roomId, eventType: z.string(), stateKey: z.string().default('') }),
  query: z.object({ format: z.enum(['content', 'event']).default('content') }),
  handle: ({ params, query, session: { userId, deviceId } }, app) =>
    readStateAt(app, { ...params, ...query, userId, deviceId }),
})
