import { z } from 'zod'
import { setBlocked } from '../../../services/rooms/administration/block-room.ts'
import { findRoomBlocker } from '../../../storage/rooms/room-blocks.ts'
import { type AnyEndpoint, route } from '../../http/route.ts'
import { ofRoom, v1 } from '../admin-fields.ts'

const path = v1('/rooms/:roomId/block')

const getBlock = route({
  method: 'GET',
  path,
  auth: 'admin',
  params: ofRoom,
  async handle({ params }, app) {
    const blocker = await findRoomBlocker(app.database, params.roomId)
    return blocker === undefined ? { block: false } : { block: true, user_id: blocker }
  },
})

export const putBlock = route({
  method: 'PUT',
  path,
  auth: 'admin',
  params: ofRoom,
  body: z.object({ block: z.boolean() }),
  async handle({ params: { roomId }, body: { block }, session }, app) {
    await setBlocked(app, { roomId, by: session.userId, blocked: block })
    return { block }
  },
})

export const roomBlockEndpoints: readonly AnyEndpoint[] = [getBlock, putBlock]
