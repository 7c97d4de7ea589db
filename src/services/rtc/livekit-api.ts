import { z } from 'zod'
import type { App } from '../../app.ts'
import type { Livekit } from './livekit.ts'

export type LivekitApp = Pick<App, 'clock' | 'configuredHttp' | 'logger' | 'stopping'>

const ADMIN_TOKEN_LIFETIME_SECONDS = 60
const LIST_TIMEOUT_MS = 4000
/** Participants are listed with their tracks: some KiB each. */
const MAX_LIST_BYTES = 16 * 1024 * 1024

/** A request to the RoomService of LiveKit. `grant`: the permission that it needs. */
export type LivekitRequest = {
  method: 'CreateRoom' | 'DeleteRoom' | 'ListParticipants'
  body: object
  grant: object
  timeoutMs: number
  maxBytes?: number
}

/**
 * Requests the RoomService. Rejects if LiveKit cannot be reached, or refuses.
 * https://docs.livekit.io/reference/other/roomservice-api/
 */
export async function requestLivekit(
  app: Pick<App, 'clock' | 'configuredHttp' | 'stopping'>,
  livekit: Livekit,
  { method, body, grant, timeoutMs, maxBytes }: LivekitRequest,
): Promise<unknown> {
  const token = await signLivekitToken(app, livekit, { lifetimeSeconds: ADMIN_TOKEN_LIFETIME_SECONDS, video: grant })
  const url = `${livekit.apiUrl}/twirp/livekit.RoomService/${method}`
  const answer = await app.configuredHttp.postJson(url, body, {
    timeoutMs,
    signal: app.stopping,
    headers: { authorization: `Bearer ${token}` },
    ...(maxBytes !== undefined && { maxBytes }),
  })
  if (answer.status === 200) return answer.body
  const text = answer.body === undefined ? '' : `: ${JSON.stringify(answer.body).slice(0, 500)}`
  throw new Error(`LiveKit responded with ${answer.status}${text}`)
}

const listed = z.object({
  participants: z.array(z.object({ identity: z.string(), state: z.string().optional() })).default([]),
})

/** Returns the identities of the participants whom LiveKit has in a room. Rejects as `requestLivekit`. */
export async function listLivekitIdentities(app: LivekitApp, livekit: Livekit, room: string): Promise<Set<string>> {
  const answer = await requestLivekit(app, livekit, {
    method: 'ListParticipants',
    body: { room },
    grant: { roomAdmin: true, room },
    timeoutMs: LIST_TIMEOUT_MS,
    maxBytes: MAX_LIST_BYTES,
  })
  const { participants } = listed.parse(answer)
  return new Set(participants.flatMap(({ identity, state }) => (state === 'DISCONNECTED' ? [] : [identity])))
}

/** `identity`: of the participant whom a token lets in. `sha256`: the hash of the body of a webhook, in Base64. */
type LivekitToken = { identity?: string; lifetimeSeconds: number; video?: object; sha256?: string }

export async function signLivekitToken(
  { clock }: Pick<App, 'clock'>,
  { apiKey, apiSecret }: Livekit,
  { identity, lifetimeSeconds, ...claims }: LivekitToken,
): Promise<string> {
  const { SignJWT } = await import('jose')
  const now = Math.floor(clock.now() / 1000)
  const token = new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuer(apiKey)
    .setIssuedAt(now)
    .setNotBefore(now)
    .setExpirationTime(now + lifetimeSeconds)
  return (identity === undefined ? token : token.setSubject(identity)).sign(new TextEncoder().encode(apiSecret))
}
