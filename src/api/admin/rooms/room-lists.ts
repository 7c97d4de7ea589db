import { z } from 'zod'
import { describeRoom, roomItem } from '../../../services/rooms/administration/describe-room.ts'
import { listAdministeredRooms, ROOM_ORDERS } from '../../../storage/rooms/administered-rooms.ts'
import { direction } from '../../client/rooms/pagination-fields.ts'
import { queryBoolean } from '../../http/fields.ts'
import { type AnyEndpoint, route } from '../../http/route.ts'
import { listPage, ofRoom, searchTerm, v1 } from '../admin-fields.ts'

const getRooms = route({
  method: 'GET',
  path: v1('/rooms'),
  auth: 'admin',
  query: listPage.extend({
    order_by: z.enum(ROOM_ORDERS).default('name'),
    dir: direction.default('forwards'),
    search_term: searchTerm.min(1, 'must not be empty').optional(),
    public_rooms: queryBoolean.optional(),
    empty_rooms: queryBoolean.optional(),
  }),
  async handle({ query: { from, limit, order_by: order, dir, ...wanted } }, app) {
    const { search_term: term = null, public_rooms: isPublic = null, empty_rooms: isEmpty = null } = wanted
    const page = { order, isReversed: dir === 'backwards', from, limit }
    const { rooms, total } = await listAdministeredRooms(app.database, { term, isPublic, isEmpty }, page)
    return {
      offset: from,
      rooms: rooms.map(roomItem),
      total_rooms: total,
      ...(from + limit < total && { next_batch: from + limit }),
      ...(from > 0 && { prev_batch: Math.max(0, from - limit) }),
    }
  },
})

const getRoom = route({
  method: 'GET',
  path: v1('/rooms/:roomId'),
  auth: 'admin',
  params: ofRoom,
  handle: ({ params }, app) => describeRoom(app, params.roomId),
})

export const roomListEndpoints: readonly AnyEndpoint[] = [getRooms, getRoom]
