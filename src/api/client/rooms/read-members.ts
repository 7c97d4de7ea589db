import { z } from 'zod'
import { jsonAround, jsonItems } from '../../../core/json/json-pieces.ts'
import { readJoinedMembers, readMembers } from '../../../services/rooms/reading/read-members.ts'
import { v3 } from '../../http/client-paths.ts'
import { roomId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { sendPieces } from '../../http/send-pieces.ts'

const membership = z.enum(['join', 'invite', 'knock', 'leave', 'ban']).optional()

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmembers */
export const getMembers = route({
  method: 'GET',
  path: v3('/rooms/:roomId/members'),
  auth: 'user',
  guests: true,
  params: z.object({ roomId }),
  query: z.object({ at: z.string().optional(), membership, not_membership: membership }),
  async handle({ params, query, session: { userId, deviceId }, response, owner }, app) {
    const { at, membership, not_membership } = query
    const wanted = { at, membership, notMembership: not_membership }
    const events = await readMembers(app, { ...params, userId, deviceId, ...wanted })
    return sendPieces(app, { response, owner }, jsonAround('{"chunk":[', jsonItems(events), ']}'))
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidjoined_members */
export const getJoinedMembers = route({
  method: 'GET',
  path: v3('/rooms/:roomId/joined_members'),
  auth: 'user',
  params: z.object({ roomId }),
  handle: async ({ params, session, response, owner }, app) =>
    sendPieces(app, { response, owner }, await readJoinedMembers(app, params.roomId, session.userId)),
})
