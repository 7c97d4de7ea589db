import { z } from 'zod'
import { InvalidParamError } from '../../../core/errors.ts'
import { withoutTrailingSlashes } from '../../../core/text/trailing-slashes.ts'
import { requireLivekit } from '../../../services/rtc/livekit.ts'
import { hashedIdentity, issueLivekitToken } from '../../../services/rtc/livekit-tokens.ts'
import { relayLivekitToken } from '../../../services/rtc/relay-livekit-token.ts'
import { deviceId, opaqueName, roomId, serverName } from '../../http/fields.ts'
import { route } from '../../http/route.ts'

const MAX_URL_LENGTH = 2048

/** The URL of a LiveKit, in requests for its tokens. */
export const livekitUrl = z.url({ protocol: /^wss?$/, error: 'is not a WebSocket URL' }).max(MAX_URL_LENGTH)

/** https://github.com/matrix-org/matrix-spec-proposals/pull/4195; earlier drafts have `member` for `member_id`. */
export const postLivekitToken = route({
  method: 'POST',
  path: [
    '/_matrix/client/v1/rtc/livekit/get_token',
    '/_matrix/client/unstable/io.element.msc4195/rtc/livekit/get_token',
  ],
  auth: 'user',
  guests: true,
  body: z
    .object({
      room_id: roomId,
      slot_id: opaqueName,
      url: livekitUrl,
      server_name: serverName.optional(),
      member_id: opaqueName.optional(),
      member: z.object({ id: opaqueName, claimed_device_id: deviceId.optional() }).optional(),
    })
    .refine(({ member_id, member }) => member_id ?? member, { path: ['member_id'], error: 'is missing' }),
  async handle({ body, session }, app) {
    const { room_id, slot_id, url, server_name: server = app.serverName, member_id, member } = body
    const memberId = (member_id ?? member?.id)!
    const device = member?.claimed_device_id ?? session.deviceId ?? ''
    const { userId } = session
    const call = { userId, roomId: room_id, slotId: slot_id }
    if (server !== app.serverName) {
      return { jwt: await relayLivekitToken(app, server, { ...call, url, memberId, deviceId: device }) }
    }
    requireOwnUrl(requireLivekit(app).url, url)
    const identity = hashedIdentity(userId, device, memberId)
    return { jwt: await issueLivekitToken(app, { ...call, identity }, { canPublish: true }) }
  },
})

/** Throws M_INVALID_PARAM if a client means the LiveKit of another server. */
export function requireOwnUrl(own: string, url: string): void {
  if (withoutTrailingSlashes(url) === own) return
  throw new InvalidParamError(`url: the LiveKit of this server is at ${own}. Name the server_name of another one`)
}
