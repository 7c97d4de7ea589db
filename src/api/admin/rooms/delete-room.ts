import { z } from 'zod'
import {
  deleteRoom,
  deleteRoomNow,
  findDeletion,
  listDeletions,
  type RoomDeletion,
} from '../../../services/membership/deletion/delete-room.ts'
import { opaqueName, userId } from '../../http/fields.ts'
import { type AnyEndpoint, route, type Session } from '../../http/route.ts'
import { ofRoom, v1, v2 } from '../admin-fields.ts'

const MAX_NAME = 255
const MAX_MESSAGE = 10_000

/** The defaults are Synapse's. */
const deletion = z.object({
  new_room_user_id: userId.nullish(),
  room_name: z.string().min(1).max(MAX_NAME).nullish(),
  message: z.string().min(1).max(MAX_MESSAGE).nullish(),
  block: z.boolean().default(false),
  purge: z.boolean().default(true),
  force_purge: z.boolean().default(false),
})

function deletionOf(
  { roomId }: z.output<typeof ofRoom>,
  body: z.output<typeof deletion>,
  { userId: by }: Session,
): RoomDeletion {
  return {
    roomId,
    by,
    newRoomUserId: body.new_room_user_id ?? null,
    roomName: body.room_name ?? 'Content Violation Notification',
    message:
      body.message ?? 'Sharing illegal content on this server is not permitted and rooms in violation will be blocked.',
    block: body.block,
    purge: body.purge,
    force: body.force_purge,
  }
}

const deleteNow = route({
  method: 'DELETE',
  path: v1('/rooms/:roomId'),
  auth: 'admin',
  params: ofRoom,
  body: deletion,
  handle: ({ params, body, session, signal }, app) => deleteRoomNow(app, deletionOf(params, body, session), signal),
})

export const deleteLater = route({
  method: 'DELETE',
  path: v2('/rooms/:roomId'),
  auth: 'admin',
  params: ofRoom,
  body: deletion,
  async handle({ params, body, session }, app) {
    return { delete_id: (await deleteRoom(app, deletionOf(params, body, session))).id }
  },
})

const getDeletions = route({
  method: 'GET',
  path: v2('/rooms/:roomId/delete_status'),
  auth: 'admin',
  params: ofRoom,
  handle: async ({ params }, app) => ({ results: await listDeletions(app, params.roomId) }),
})

const getDeletion = route({
  method: 'GET',
  path: v2('/rooms/delete_status/:deleteId'),
  auth: 'admin',
  params: z.object({ deleteId: opaqueName }),
  handle: ({ params }, app) => findDeletion(app, params.deleteId),
})

export const roomDeletionEndpoints: readonly AnyEndpoint[] = [deleteNow, deleteLater, getDeletions, getDeletion]
