import { z } from 'zod'
import { listMutualRooms } from '../../../services/rooms/membership/mutual-rooms.ts'
import { userId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mutual_rooms */
export const getMutualRooms = route({
  method: 'GET',
  path: ['/_matrix/client/v1/mutual_rooms'],
  auth: 'user',
  query: z.object({ user_id: userId, from: z.string().optional() }),
  handle: ({ query, session }, app) =>
    listMutualRooms(app, { userId: session.userId, other: query.user_id, from: query.from }),
})

/**
 * The unstable path of MSC2666, which matrix-js-sdk uses: https://github.com/matrix-org/matrix-spec-proposals/pull/2666
 */
export const getUnstableMutualRooms = route({
  method: 'GET',
  path: '/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms',
  auth: 'user',
  query: z.object({ user_id: userId, batch_token: z.string().optional() }),
  async handle({ query, session }, app) {
    const command = { userId: session.userId, other: query.user_id, from: query.batch_token }
    const { next_batch, ...rooms } = await listMutualRooms(app, command)
    return { ...rooms, ...(next_batch !== undefined && { next_batch_token: next_batch }) }
  },
})
