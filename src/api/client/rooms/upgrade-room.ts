import { z } from 'zod'
import { upgradeRoom } from '../../../services/rooms/lifecycle/upgrade-room.ts'
import { v3 } from '../../http/client-paths.ts'
import { roomId, userId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'

/** The length of the hash in a room ID. */
const HASH_BYTES = 32

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidupgrade */
export const postUpgradeRoom = route({
  method: 'POST',
  path: v3('/rooms/:roomId/upgrade'),
  auth: 'user',
  rateLimit: 'room_creation',
  params: z.object({ roomId }),
  body: z.object({ new_version: z.string(), additional_creators: z.array(userId).default([]) }),
  pretend: (_call, { random }) => ({ replacement_room: `!${random.bytes(HASH_BYTES).toString('base64url')}` }),
  async handle({ params, body, session }, app) {
    const replacement = await upgradeRoom(app, {
      ...params,
      userId: session.userId,
      newVersion: body.new_version,
      additionalCreators: body.additional_creators,
    })
    return { replacement_room: replacement }
  },
})
