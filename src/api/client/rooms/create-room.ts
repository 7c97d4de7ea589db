import { z } from 'zod'
import { createRoom } from '../../../services/membership/create-room.ts'
import { v3 } from '../../http/client-paths.ts'
import { jsonObject, userId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { thirdParty } from './invite-user.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom */
export const postCreateRoom = route({
  method: 'POST',
  path: v3('/createRoom'),
  auth: 'user',
  rateLimit: 'room_creation',
  alsoCounts: ({ body }) => ({ invite: new Set(body.invite).size + (body.invite_3pid?.length ?? 0) }),
  body: z.object({
    visibility: z.enum(['public', 'private']).nullish(),
    room_alias_name: z.string().nullish(),
    name: z.string().nullish(),
    topic: z.string().nullish(),
    invite: z.array(userId).nullish(),
    invite_3pid: z.array(thirdParty).max(100).nullish(),
    room_version: z.string().nullish(),
    creation_content: jsonObject.nullish(),
    initial_state: z
      .array(z.object({ type: z.string(), state_key: z.string().default(''), content: jsonObject }))
      .nullish(),
    preset: z.enum(['private_chat', 'trusted_private_chat', 'public_chat']).nullish(),
    is_direct: z.boolean().nullish(),
    power_level_content_override: jsonObject.nullish(),
  }),
  async handle({ body, session }, app) {
    const roomId = await createRoom(app, session.userId, {
      visibility: body.visibility,
      preset: body.preset,
      aliasName: body.room_alias_name,
      name: body.name,
      topic: body.topic,
      // Invites of shadow-banned users reach nobody.
      ...(!session.isShadowBanned && { invite: body.invite, inviteThirdParties: body.invite_3pid }),
      isDirect: body.is_direct,
      roomVersion: body.room_version,
      creationContent: body.creation_content,
      initialState: body.initial_state,
      appservice: session.appservice,
      powerLevelOverride: body.power_level_content_override,
    })
    return { room_id: roomId }
  },
})
