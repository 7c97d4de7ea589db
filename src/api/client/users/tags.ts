import { z } from 'zod'
import { deleteTag, getTags, putTag } from '../../../services/users/settings/tags.ts'
import { v3 } from '../../http/client-paths.ts'
import { jsonObject, roomId, userId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { requireOwn } from './own-user.ts'

const order = z.number().min(0).max(1).optional()
const tagContent = jsonObject.refine((content) => order.safeParse(content.order).success, {
  path: ['order'],
  message: 'is not a number from 0 to 1',
})
const tagParams = z.object({ userId, roomId, tag: z.string() })

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3useruseridroomsroomidtags */
export const getRoomTags = route({
  method: 'GET',
  path: v3('/user/:userId/rooms/:roomId/tags'),
  auth: 'user',
  params: tagParams.omit({ tag: true }),
  async handle({ params, session }, app) {
    requireOwn(session, params.userId)
    return { tags: await getTags(app, params) }
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3useruseridroomsroomidtagstag */
export const putRoomTag = route({
  method: 'PUT',
  path: v3('/user/:userId/rooms/:roomId/tags/:tag'),
  auth: 'user',
  suspendedUsers: true,
  params: tagParams,
  body: tagContent,
  async handle({ params, body, session }, app) {
    requireOwn(session, params.userId)
    await putTag(app, params, { tag: params.tag, content: body })
    return {}
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3useruseridroomsroomidtagstag */
export const deleteRoomTag = route({
  method: 'DELETE',
  path: v3('/user/:userId/rooms/:roomId/tags/:tag'),
  auth: 'user',
  suspendedUsers: true,
  params: tagParams,
  async handle({ params, session }, app) {
    requireOwn(session, params.userId)
    await deleteTag(app, params, params.tag)
    return {}
  },
})
