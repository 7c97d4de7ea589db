import { z } from 'zod'
import { requireInRoom } from '../../services/federation/trust/require-in-room.ts'
import { requireUserOfOrigin } from '../../services/federation/trust/require-own-user.ts'
import { requireLivekit } from '../../services/rtc/livekit.ts'
import { hashedIdentity, issueLivekitToken } from '../../services/rtc/livekit-tokens.ts'
import { livekitUrl, requireOwnUrl } from '../client/rtc/livekit-token.ts'
import { deviceId, opaqueName, roomId, userId } from '../http/fields.ts'
import { route } from '../http/route.ts'

/**
 * Remote users may only watch and listen here: they publish through their own server.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4195
 */
export const postFederationLivekitToken = route({
  method: 'POST',
  path: [
    '/_matrix/federation/v1/rtc/livekit/get_token',
    '/_matrix/federation/unstable/io.element.msc4195/rtc/livekit/get_token',
  ],
  auth: 'server',
  body: z.object({
    user_id: userId,
    room_id: roomId,
    slot_id: opaqueName,
    url: livekitUrl,
    member_id: opaqueName,
    member: z.object({ claimed_device_id: deviceId.optional() }).optional(),
  }),
  async handle({ body, session }, app) {
    const { user_id, room_id, slot_id, url, member_id, member } = body
    requireUserOfOrigin(session.origin, user_id)
    await requireInRoom(app, room_id, session.origin)
    requireOwnUrl(requireLivekit(app).url, url)
    const identity = hashedIdentity(user_id, member?.claimed_device_id ?? null, member_id)
    const participant = { userId: user_id, roomId: room_id, slotId: slot_id, identity }
    return { jwt: await issueLivekitToken(app, participant, { canPublish: false }) }
  },
})
