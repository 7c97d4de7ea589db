import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { App } from '../../app.ts'
import { BadJsonError } from '../../core/errors.ts'
import { isStorableName } from '../../core/ids.ts'
import { checkLeavesNow, markParticipantLeft } from '../../storage/rtc/delegated-leaves.ts'
import { findLivekitProbe, storeLivekitProbe } from '../../storage/rtc/livekit-probe.ts'
import { requireLivekit } from './livekit.ts'
import { unauthorized } from './openid-caller.ts'

const CLOCK_TOLERANCE_SECONDS = 60
/** The participant may be connected in another way, or connects again. */
const MAY_RETURN = ['DUPLICATE_IDENTITY', 'SERVER_SHUTDOWN', 'MIGRATION', 'STATE_MISMATCH', 'JOIN_FAILURE']
/** `participant_connection_aborted`: no media were connected yet. */
const DEPARTURES = ['participant_left', 'participant_connection_aborted']

const claims = z.object({ sha256: z.string() })

/**
 * Returns the hash of the body that LiveKit announces in a webhook's token, in Base64. Throws 401 M_UNAUTHORIZED unless
 * LiveKit has signed the token with the configured key, for a webhook, a few minutes ago at most.
 * https://docs.livekit.io/home/server/webhooks/
 */
export async function verifyWebhookToken(
  app: Pick<App, 'config' | 'clock'>,
  authorization: string | undefined,
): Promise<string> {
  const { apiKey, apiSecret } = requireLivekit(app)
  const token = (authorization ?? '').replace(/^Bearer /i, '')
  const { jwtVerify } = await import('jose')
  try {
    const { payload } = await jwtVerify(token, new TextEncoder().encode(apiSecret), {
      algorithms: ['HS256'],
      issuer: apiKey,
      requiredClaims: ['exp'],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: new Date(app.clock.now()),
    })
    return claims.parse(payload).sha256
  } catch {
    throw unauthorized('The webhook is not signed with calls.livekit.api_key, or not now')
  }
}

const MAX_NAME_BYTES = 1024
const name = z.string().refine((value) => isStorableName(value, MAX_NAME_BYTES))
const webhook = z.object({
  event: z.string(),
  room: z.object({ name }).optional(),
  participant: z.object({ identity: name, disconnectReason: z.string().optional() }).optional(),
})

/** The rooms that `hearth doctor --calls` creates in LiveKit; their webhooks show that webhooks arrive. */
export const PROBE_ROOM = 'hearth-doctor-'
/** The event of a webhook that the doctor itself sends, to ask whether that of its room has arrived. */
export const PROBE_EVENT = 'hearth.doctor'

/**
 * Notes who has left a room in LiveKit, and lets the participants be checked. Webhooks of other kinds change nothing,
 * and repeated ones nothing more. Returns the answer. Throws 401 M_UNAUTHORIZED for a body with another hash, M_BAD_JSON.
 */
export async function receiveWebhook(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  { body, sha256 }: { body: string; sha256: string },
): Promise<object> {
  if (createHash('sha256').update(body).digest('base64') !== sha256) {
    throw unauthorized('The body of the webhook is not the signed one')
  }
  const { event, room, participant } = parseWebhook(body)
  if (room === undefined) return {}
  const { name: roomName } = room
  if (event === PROBE_EVENT) return { webhook_arrived: (await findLivekitProbe(app.database)) === roomName }
  const now = app.clock.now()
  if (event === 'room_started' && roomName.startsWith(PROBE_ROOM)) {
    await app.database.write((tx) => storeLivekitProbe(tx, roomName))
  } else if (DEPARTURES.includes(event) && participant && !mayReturn(participant.disconnectReason)) {
    const { identity } = participant
    const unseenUntil = now + app.config.calls.livekit.grace_period
    await app.database.write((tx) => markParticipantLeft(tx, { room: roomName, identity, now, unseenUntil }))
  } else if (event === 'room_finished') {
    await app.database.write((tx) => checkLeavesNow(tx, { room: roomName, identity: undefined, now }))
  } else if ((event === 'participant_joined' || DEPARTURES.includes(event)) && participant) {
    const { identity } = participant
    await app.database.write((tx) => checkLeavesNow(tx, { room: roomName, identity, now }))
  }
  return {}
}

function parseWebhook(body: string): z.output<typeof webhook> {
  try {
    return webhook.parse(JSON.parse(body))
  } catch {
    throw new BadJsonError('The body is not a webhook of LiveKit')
  }
}

function mayReturn(reason = 'UNKNOWN_REASON'): boolean {
  return MAY_RETURN.includes(reason)
}
