import { z } from 'zod'
import { directoryVisibility, setDirectoryVisibility } from '../../../services/rooms/directory/directory.ts'
import { v3 } from '../../http/client-paths.ts'
import { roomId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'

const params = z.object({ roomId })

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3directorylistroomroomid */
export const getDirectoryVisibility = route({
  method: 'GET',
  path: v3('/directory/list/room/:roomId'),
  auth: 'none',
  params,
  handle: async ({ params }, app) => ({ visibility: await directoryVisibility(app, params.roomId) }),
})

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3directorylistroomroomid */
export const putDirectoryVisibility = route({
  method: 'PUT',
  path: v3('/directory/list/room/:roomId'),
  auth: 'user',
  params,
  body: z.object({ visibility: z.enum(['public', 'private']).default('public') }),
  async handle({ params, body, session: { userId, isAdmin } }, app) {
    await setDirectoryVisibility(app, { roomId: params.roomId, visibility: body.visibility, userId, isAdmin })
    return {}
  },
})
