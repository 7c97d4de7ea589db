import { z } from 'zod'
import type { RoomAlias, RoomId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { joinRoom } from '../../../services/membership/join-room.ts'
import { v3 } from '../../http/client-paths.ts'
import { jsonObject, roomAlias, roomId } from '../../http/fields.ts'
import { route, type Session } from '../../http/route.ts'
import { contentWithOptionalReason } from './reason.ts'
import { viaQuery, viaServers } from './via.ts'

const joinBody = contentWithOptionalReason.refine(
  ({ third_party_signed: signed }) => signed === undefined || jsonObject.safeParse(signed).success,
  { path: ['third_party_signed'], message: 'is not a JSON object' },
)

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3joinroomidoralias */
export const postJoin = route({
  method: 'POST',
  path: v3('/join/:roomIdOrAlias'),
  auth: 'user',
  guests: true,
  suspendedUsers: 'in the notices room',
  rateLimit: 'join',
  params: z.object({ roomIdOrAlias: z.union([roomId, roomAlias], 'is neither a room id nor an alias') }),
  query: viaQuery,
  body: joinBody,
  handle: async ({ params, query, body, session }, app) => ({
    room_id: await joinRoom(app, { ...joinRequest(session, params.roomIdOrAlias, body), via: viaServers(query) }),
  }),
})

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidjoin */
export const postRoomJoin = route({
  method: 'POST',
  path: v3('/rooms/:roomId/join'),
  auth: 'user',
  guests: true,
  suspendedUsers: 'in the notices room',
  rateLimit: 'join',
  params: z.object({ roomId }),
  body: joinBody,
  handle: async ({ params, body, session }, app) => ({
    room_id: await joinRoom(app, { ...joinRequest(session, params.roomId, body), via: [] }),
  }),
})

/** Clients may add custom keys to the member event, beside the specified `reason`. */
function joinRequest({ userId, isGuest, isShadowBanned }: Session, room: RoomId | RoomAlias, body: JsonObject) {
  const { third_party_signed: _, ...content } = body
  // Nobody reads what shadow-banned users write.
  return { userId, isGuest, room, content: isShadowBanned ? {} : content }
}
