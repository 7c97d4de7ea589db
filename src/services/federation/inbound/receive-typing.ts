import { z } from 'zod'
import { ForbiddenError } from '../../../core/errors.ts'
import { noteTyping } from '../../rooms/sending/typing.ts'
import { roomsOfRemoteUsers } from '../requests/rooms-of-remote-users.ts'
import { requireAllowedByAcl } from '../trust/check-server-acl.ts'
import { eduRoomId, eduUserId } from '../trust/edu-fields.ts'
import { requireUserOfOrigin } from '../trust/require-own-user.ts'
import type { ReceiveEdu } from './edu-app.ts'

const content = z.looseObject({ room_id: eduRoomId, user_id: eduUserId, typing: z.boolean() })

/** Servers repeat the EDU while a user continues typing. */
const TIMEOUT_MS = 60_000

/** Handles typing notifications. https://spec.matrix.org/v1.19/server-server-api/#typing-notifications */
export const receiveTyping: ReceiveEdu = async (app, origin, received) => {
  const { room_id: room, user_id: user, typing } = content.parse(received)
  requireUserOfOrigin(origin, user)
  await requireAllowedByAcl(app, room, origin)
  const present = await roomsOfRemoteUsers(app, origin, [user])
  if (!present.of(user).has(room)) throw new ForbiddenError('The user is not in this room')
  await noteTyping(app, { roomId: room, userId: user, typing, timeout: TIMEOUT_MS })
}
