import { z } from 'zod'
import type { App } from '../../../app.ts'
import { BadJsonError } from '../../../core/errors.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { LIVEKIT_SERVICE_PATH, requireLivekit } from '../../../services/rtc/livekit.ts'
import { hashedIdentity, issueLivekitToken, type Participant, ROOM_SLOT } from '../../../services/rtc/livekit-tokens.ts'
import { findOpenIdCaller, unauthorized } from '../../../services/rtc/openid-caller.ts'
import { deviceId, jsonObject, opaqueName, roomId, serverName, userId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'

const MAX_TOKEN_LENGTH = 4096
const openIdToken = z.object({ access_token: z.string().min(1).max(MAX_TOKEN_LENGTH), matrix_server_name: serverName })

const sfuBody = z.object({ room: roomId, openid_token: openIdToken, device_id: deviceId })

/**
 * The token service of Element Call, which other programs provide beside a homeserver. Its callers, also users of other
 * servers, have an OpenID token instead of an access token. This is its oldest form.
 */
const postSfuGet = route({
  method: 'POST',
  path: `${LIVEKIT_SERVICE_PATH}/sfu/get`,
  auth: 'none',
  body: jsonObject,
  async handle({ body }, app) {
    const { room, openid_token, device_id } = parseBody(sfuBody, body)
    const caller = await callerOf(app, openid_token)
    const identity = `${caller}:${device_id}`
    return answer(app, { userId: caller, roomId: room, slotId: ROOM_SLOT, identity })
  },
})

const tokenBody = z.object({
  room_id: roomId,
  slot_id: opaqueName,
  openid_token: openIdToken,
  member: z.object({ id: opaqueName, claimed_user_id: userId, claimed_device_id: deviceId }),
})

const postServiceToken = route({
  method: 'POST',
  path: `${LIVEKIT_SERVICE_PATH}/get_token`,
  auth: 'none',
  body: jsonObject,
  async handle({ body }, app) {
    const { room_id, slot_id, openid_token, member } = parseBody(tokenBody, body)
    const caller = await callerOf(app, openid_token)
    if (caller !== member.claimed_user_id) throw unauthorized(`The OpenID token is not of ${member.claimed_user_id}`)
    const identity = hashedIdentity(caller, member.claimed_device_id, member.id)
    return answer(app, { userId: caller, roomId: room_id, slotId: slot_id, identity })
  },
})

const getServiceHealth = route({
  method: 'GET',
  path: `${LIVEKIT_SERVICE_PATH}/healthz`,
  auth: 'none',
  handle: () => ({}),
})

export const livekitServiceEndpoints = [postSfuGet, postServiceToken, getServiceHealth]

/** The service has one errcode for all bodies of a wrong form. */
function parseBody<Schema extends z.ZodType>(schema: Schema, body: JsonObject): z.output<Schema> {
  const { success, data, error } = schema.safeParse(body)
  if (success) return data
  const issue = error.issues[0]!
  throw new BadJsonError(`${issue.path.join('.')}: ${issue.message}`)
}

function callerOf(app: App, { access_token: token, matrix_server_name: server }: z.output<typeof openIdToken>) {
  return findOpenIdCaller(app, { server, token })
}

async function answer(app: App, participant: Participant): Promise<{ url: string; jwt: string }> {
  const { url } = requireLivekit(app)
  return { url, jwt: await issueLivekitToken(app, participant, { canPublish: true }) }
}
