import { z } from 'zod'
import type { RoomId } from '../../../core/ids.ts'
import {
  backUpKeys,
  deleteBackedUpKeys,
  readBackedUpKey,
  readBackedUpKeys,
  type SessionKey,
} from '../../../services/devices/backed-up-keys.ts'
import { v3 } from '../../http/client-paths.ts'
import { opaqueName, roomId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { sendPieces } from '../../http/send-pieces.ts'
import { backupVersion, sessionKey } from './key-backup-fields.ts'

const query = z.object({ version: backupVersion })
const sessions = z.record(opaqueName, sessionKey)
const inRoom = z.object({ roomId })
const ofSession = z.object({ roomId, sessionId: opaqueName })

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keyskeys */
export const putRoomKeys = route({
  method: 'PUT',
  path: v3('/room_keys/keys'),
  auth: 'user',
  suspendedUsers: true,
  query,
  body: z.object({ rooms: z.record(roomId, z.object({ sessions })) }),
  handle({ session, query, body }, app) {
    const keys = Object.entries(body.rooms).flatMap(([id, room]) => sessionsOf(id as RoomId, room.sessions))
    return backUpKeys(app, { userId: session.userId, ...query }, keys)
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keyskeysroomid */
export const putRoomKeysOfRoom = route({
  method: 'PUT',
  path: v3('/room_keys/keys/:roomId'),
  auth: 'user',
  suspendedUsers: true,
  params: inRoom,
  query,
  body: z.object({ sessions }),
  handle: ({ session, query, params, body }, app) =>
    backUpKeys(app, { userId: session.userId, ...query }, sessionsOf(params.roomId, body.sessions)),
})

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keyskeysroomidsessionid */
export const putRoomKey = route({
  method: 'PUT',
  path: v3('/room_keys/keys/:roomId/:sessionId'),
  auth: 'user',
  suspendedUsers: true,
  params: ofSession,
  query,
  body: sessionKey,
  handle: ({ session, query, params: { roomId, sessionId }, body }, app) =>
    backUpKeys(app, { userId: session.userId, ...query }, sessionsOf(roomId, { [sessionId]: body })),
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keyskeys */
export const getRoomKeys = route({
  method: 'GET',
  path: v3('/room_keys/keys'),
  auth: 'user',
  query,
  handle: async ({ session, query, response, owner }, app) =>
    sendPieces(app, { response, owner }, await readBackedUpKeys(app, { userId: session.userId, ...query })),
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keyskeysroomid */
export const getRoomKeysOfRoom = route({
  method: 'GET',
  path: v3('/room_keys/keys/:roomId'),
  auth: 'user',
  params: inRoom,
  query,
  async handle({ session, query, params, response, owner }, app) {
    const pieces = await readBackedUpKeys(app, { userId: session.userId, ...query }, params.roomId)
    return sendPieces(app, { response, owner }, pieces)
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keyskeysroomidsessionid */
export const getRoomKey = route({
  method: 'GET',
  path: v3('/room_keys/keys/:roomId/:sessionId'),
  auth: 'user',
  params: ofSession,
  query,
  handle: ({ session, query, params }, app) => readBackedUpKey(app, { userId: session.userId, ...query }, params),
})

/** https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3room_keyskeys */
export const deleteRoomKeys = route({
  method: 'DELETE',
  path: v3('/room_keys/keys'),
  auth: 'user',
  suspendedUsers: true,
  query,
  handle: ({ session, query }, app) => deleteBackedUpKeys(app, { userId: session.userId, ...query }, {}),
})

/** https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3room_keyskeysroomid */
export const deleteRoomKeysOfRoom = route({
  method: 'DELETE',
  path: v3('/room_keys/keys/:roomId'),
  auth: 'user',
  suspendedUsers: true,
  params: inRoom,
  query,
  handle: ({ session, query, params }, app) => deleteBackedUpKeys(app, { userId: session.userId, ...query }, params),
})

/** https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3room_keyskeysroomidsessionid */
export const deleteRoomKey = route({
  method: 'DELETE',
  path: v3('/room_keys/keys/:roomId/:sessionId'),
  auth: 'user',
  suspendedUsers: true,
  params: ofSession,
  query,
  handle: ({ session, query, params }, app) => deleteBackedUpKeys(app, { userId: session.userId, ...query }, params),
})

function sessionsOf(
  roomId: RoomId,
  keys: Record<string, SessionKey>,
): (SessionKey & { room_id: RoomId; session_id: string })[] {
  return Object.entries(keys).map(([sessionId, key]) => ({ ...key, room_id: roomId, session_id: sessionId }))
}
