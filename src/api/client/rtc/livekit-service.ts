import { z } from 'zod'
import type { App } from '../../../app.ts'
import { BadJsonError } from '../../../core/errors.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { delegateLeave } from '../../../services/rtc/delegate-leave.ts'
import { LIVEKIT_SERVICE_PATH, requireLivekit } from '../../../services/rtc/livekit.ts'
import { hashedIdentity, issueLivekitToken, type Participant, ROOM_SLOT } from '../../../services/rtc/livekit-tokens.ts'
import { findOpenIdCaller, unauthorized } from '../../../services/rtc/openid-caller.ts'
import { deviceId, jsonObject, opaqueName, roomId, serverName, userId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'

const MAX_TOKEN_LENGTH = 4096
const WHOLE_DELAY = 'needs both delay_id and delay_timeout, or neither'
const openIdToken = z.object({ access_token: z.string().min(1).max(MAX_TOKEN_LENGTH), matrix_server_name: serverName })

/** Fields with which clients hand over a delayed leave event. `delay_cs_api_url` of earlier clients is ignored. */
const delayFields = { delay_id: opaqueName, delay_timeout: z.int().positive() }
const optionalDelay = { delay_id: delayFields.delay_id.optional(), delay_timeout: delayFields.delay_timeout.optional() }

const sfuBody = z
  .object({ room: roomId, openid_token: openIdToken, device_id: deviceId, ...optionalDelay })
  .refine(hasWholeDelay, WHOLE_DELAY)

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
    const { room, openid_token, device_id, ...delay } = parseBody(sfuBody, body)
    const caller = await callerOf(app, openid_token)
    const identity = `${caller}:${device_id}`
    return answer(app, { userId: caller, roomId: room, slotId: ROOM_SLOT, identity }, delay)
  },
})

const memberFields = {
  room_id: roomId,
  slot_id: opaqueName,
  openid_token: openIdToken,
  member: z.object({ id: opaqueName, claimed_user_id: userId, claimed_device_id: deviceId }),
}
const tokenBody = z.object({ ...memberFields, ...optionalDelay }).refine(hasWholeDelay, WHOLE_DELAY)

const postServiceToken = route({
  method: 'POST',
  path: `${LIVEKIT_SERVICE_PATH}/get_token`,
  auth: 'none',
  body: jsonObject,
  async handle({ body }, app) {
    const fields = parseBody(tokenBody, body)
    return answer(app, await participantOf(app, fields), fields)
  },
})

const delegateBody = z.object({ ...memberFields, ...delayFields })

/** Clients find out whether the service has it by a request without a body. */
const postServiceDelegation = route({
  method: 'POST',
  path: `${LIVEKIT_SERVICE_PATH}/delegate_delayed_leave`,
  auth: 'none',
  body: jsonObject,
  async handle({ body }, app) {
    const fields = parseBody(delegateBody, body)
    const { delay_id: delayId, delay_timeout: delayTimeout } = fields
    await delegateLeave(app, await participantOf(app, fields), { delayId, delayTimeout })
    return {}
  },
})

const getServiceHealth = route({
  method: 'GET',
  path: `${LIVEKIT_SERVICE_PATH}/healthz`,
  auth: 'none',
  handle: () => ({}),
})

export const livekitServiceEndpoints = [postSfuGet, postServiceToken, postServiceDelegation, getServiceHealth]

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

/** Returns the participant whom a request names. Throws 401 M_UNAUTHORIZED if the OpenID token is of somebody else. */
async function participantOf(
  app: App,
  { room_id, slot_id, openid_token, member }: Pick<z.output<typeof tokenBody>, keyof typeof memberFields>,
): Promise<Participant> {
  const caller = await callerOf(app, openid_token)
  if (caller !== member.claimed_user_id) throw unauthorized(`The OpenID token is not of ${member.claimed_user_id}`)
  const identity = hashedIdentity(caller, member.claimed_device_id, member.id)
  return { userId: caller, roomId: room_id, slotId: slot_id, identity }
}

type Delay = { delay_id?: string | undefined; delay_timeout?: number | undefined }

async function answer(
  app: App,
  participant: Participant,
  { delay_id: delayId, delay_timeout: delayTimeout }: Delay,
): Promise<{ url: string; jwt: string }> {
  const { url } = requireLivekit(app)
  const jwt = await issueLivekitToken(app, participant, { canPublish: true })
  if (delayId !== undefined) await delegateLeave(app, participant, { delayId, delayTimeout })
  return { url, jwt }
}

function hasWholeDelay({ delay_id, delay_timeout }: Delay): boolean {
  return (delay_id === undefined) === (delay_timeout === undefined)
}
