import { z } from 'zod'
import { ForbiddenError, InvalidParamError } from '../../../core/errors.ts'
import { withoutTrailingSlashes } from '../../../core/text/trailing-slashes.ts'
import { delegateLeave } from '../../../services/rtc/delegate-leave.ts'
import { requireLivekit } from '../../../services/rtc/livekit.ts'
import { hashedIdentity, issueLivekitToken } from '../../../services/rtc/livekit-tokens.ts'
import { relayLivekitToken } from '../../../services/rtc/relay-livekit-token.ts'
import { deviceId, opaqueName, roomId, serverName } from '../../http/fields.ts'
import { route, type Session } from '../../http/route.ts'

const MAX_URL_LENGTH = 2048

/** The URL of a LiveKit, in requests for its tokens. */
export const livekitUrl = z.url({ protocol: /^wss?$/, error: 'is not a WebSocket URL' }).max(MAX_URL_LENGTH)

const memberFields = {
  room_id: roomId,
  slot_id: opaqueName,
  member_id: opaqueName.optional(),
  member: z.object({ id: opaqueName, claimed_device_id: deviceId.optional() }).optional(),
}
type MemberFields = z.output<z.ZodObject<typeof memberFields>>

const MEMBER_MISSING = { path: ['member_id'], error: 'is missing' }

function namesMember({ member_id, member }: Pick<MemberFields, 'member_id' | 'member'>): boolean {
  return (member_id ?? member) !== undefined
}

function memberOf({ member_id, member }: MemberFields, { deviceId }: Session): { memberId: string; device: string } {
  return { memberId: (member_id ?? member?.id)!, device: member?.claimed_device_id ?? deviceId ?? '' }
}

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
    .object({ ...memberFields, url: livekitUrl, server_name: serverName.optional() })
    .refine(namesMember, MEMBER_MISSING),
  async handle({ body, session }, app) {
    const { room_id, slot_id, url, server_name: server = app.serverName } = body
    const { memberId, device } = memberOf(body, session)
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

/**
 * Hands the delayed leave event of a participant over to the server. Clients find out whether it has this endpoint by a
 * request without a token. https://github.com/matrix-org/matrix-spec-proposals/pull/4195
 */
export const postDelegateLeave = route({
  method: 'POST',
  path: [
    '/_matrix/client/v1/rtc/livekit/delegate_delayed_leave',
    '/_matrix/client/unstable/io.element.msc4195/rtc/livekit/delegate_delayed_leave',
  ],
  auth: 'user',
  guests: true,
  body: z
    .object({
      ...memberFields,
      delay_id: opaqueName,
      delay_timeout: z.int().positive().optional(),
      url: livekitUrl.optional(),
    })
    .refine(namesMember, MEMBER_MISSING),
  async handle({ body, session }, app) {
    const { room_id, slot_id, url, delay_id: delayId, delay_timeout: delayTimeout } = body
    const { userId } = session
    if (url !== undefined && withoutTrailingSlashes(url) !== requireLivekit(app).url) {
      throw new ForbiddenError(`Only the server of ${url} sees who is connected there. Restart the event yourself`)
    }
    const { memberId, device } = memberOf(body, session)
    const identity = hashedIdentity(userId, device, memberId)
    await delegateLeave(app, { userId, roomId: room_id, slotId: slot_id, identity }, { delayId, delayTimeout })
    return {}
  },
})

/** Throws M_INVALID_PARAM if a client means the LiveKit of another server. */
export function requireOwnUrl(own: string, url: string): void {
  if (withoutTrailingSlashes(url) === own) return
  throw new InvalidParamError(`url: the LiveKit of this server is at ${own}. Name the server_name of another one`)
}
