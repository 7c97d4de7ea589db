import { z } from 'zod'
import { ForbiddenError } from '../../../core/errors.ts'
import { noteActivity } from '../../../services/presence/note-activity.ts'
import { setTyping } from '../../../services/rooms/sending/typing.ts'
import { v3 } from '../../http/client-paths.ts'
import { roomId, userId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidtypinguserid */
export const putTyping = route({
  method: 'PUT',
  path: v3('/rooms/:roomId/typing/:userId'),
  auth: 'user',
  suspendedUsers: 'in the notices room',
  params: z.object({ roomId, userId }),
  body: z.object({ typing: z.boolean(), timeout: z.int().optional() }),
  pretend: () => ({}),
  async handle({ params, body, session }, app) {
    if (params.userId !== session.userId) throw new ForbiddenError('You can only set your own typing state')
    await setTyping(app, { ...params, ...body, deviceId: session.deviceId })
    noteActivity(app, session.userId)
    return {}
  },
})
