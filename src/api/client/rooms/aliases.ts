import { z } from 'zod'
import { findRoomAlias } from '../../../services/lookup/find-alias.ts'
import { createRoomAlias, listRoomAliases, removeRoomAlias } from '../../../services/rooms/directory/aliases.ts'
import { v3 } from '../../http/client-paths.ts'
import { roomAlias, roomId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'

const params = z.object({ roomAlias })

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3directoryroomroomalias */
export const getRoomAlias = route({
  method: 'GET',
  path: v3('/directory/room/:roomAlias'),
  auth: 'none',
  recognizesUsers: true,
  params,
  handle: ({ params }, app) => findRoomAlias(app, params.roomAlias),
})

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3directoryroomroomalias */
export const putRoomAlias = route({
  method: 'PUT',
  path: v3('/directory/room/:roomAlias'),
  auth: 'user',
  params,
  body: z.object({ room_id: roomId }),
  async handle({ params, body, session: { userId, isAdmin, appservice } }, app) {
    await createRoomAlias(app, { alias: params.roomAlias, roomId: body.room_id, userId, isAdmin, appservice })
    return {}
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3directoryroomroomalias */
export const deleteRoomAlias = route({
  method: 'DELETE',
  path: v3('/directory/room/:roomAlias'),
  auth: 'user',
  params,
  pretend: () => ({}),
  async handle({ params, session: { userId, isAdmin, appservice } }, app) {
    await removeRoomAlias(app, { alias: params.roomAlias, userId, isAdmin, appservice })
    return {}
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidaliases */
export const getRoomAliases = route({
  method: 'GET',
  path: v3('/rooms/:roomId/aliases'),
  auth: 'user',
  params: z.object({ roomId }),
  handle: async ({ params, session: { userId, isAdmin } }, app) => ({
    aliases: await listRoomAliases(app, { roomId: params.roomId, userId, isAdmin }),
  }),
})
