import { createHash } from 'node:crypto'
import type { App } from '../../app.ts'
import { ForbiddenError, MatrixError } from '../../core/errors.ts'
import { type RoomId, serverNameOf, type UserId } from '../../core/ids.ts'
import { encodeBase64 } from '../../core/text/base64.ts'
import { findPartialRoom } from '../../storage/rooms/membership/partial-rooms.ts'
import { findMembership } from '../../storage/rooms/membership/room-memberships.ts'
import { isServerInRoom } from '../../storage/rooms/membership/room-servers.ts'
import { type Livekit, requireLivekit } from './livekit.ts'

/** A participant of a call. `slotId`: the call in the room. `identity`: their name in LiveKit. */
export type Participant = { userId: UserId; roomId: RoomId; slotId: string; identity: string }

/** The only slot of clients that request tokens in the oldest form. */
export const ROOM_SLOT = 'm.call#ROOM'

type Seconds = number
const TOKEN_LIFETIME: Seconds = 3600
const ADMIN_TOKEN_LIFETIME: Seconds = 60
const ROOM_OPTIONS = { empty_timeout: 300, departure_timeout: 20 }
const CREATE_TIMEOUT_MS = 10_000

/** Returns the identity in LiveKit of a membership in a call, which clients compute too. */
export function hashedIdentity(userId: UserId, deviceId: string | null, memberId: string): string {
  return hashOf([userId, ...(deviceId === null ? [] : [deviceId]), memberId])
}

/**
 * Returns a token with which a participant joins their call in LiveKit. Rooms are created only for local users: others
 * join existing ones, so that they cannot use LiveKit for calls of their own. Throws M_FORBIDDEN for users who are not
 * joined, M_UNRECOGNIZED without LiveKit, and 502 if it does not create the room.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4195
 */
export async function issueLivekitToken(
  app: Pick<App, 'config' | 'database' | 'serverName' | 'clock' | 'configuredHttp' | 'logger' | 'stopping'>,
  { userId, roomId, slotId, identity }: Participant,
  { canPublish }: { canPublish: boolean },
): Promise<string> {
  const livekit = requireLivekit(app)
  await requireInCallRoom(app, roomId, userId)
  const room = hashOf([roomId, slotId])
  if (serverNameOf(userId) === app.serverName) await createLivekitRoom(app, livekit, room)
  const video = { roomJoin: true, roomCreate: false, canPublish, canSubscribe: true, room }
  return sign(app, livekit, {
    identity,
    lifetime: TOKEN_LIFETIME,
    video: { ...video, ...(canPublish ? { canUpdateOwnMetadata: true } : { canPublishData: false }) },
  })
}

/**
 * Throws M_FORBIDDEN unless a user is joined to a room. While the members of a room are not completely known, users of
 * servers in the room count as joined.
 */
export async function requireInCallRoom(
  { database, serverName }: Pick<App, 'database' | 'serverName'>,
  roomId: RoomId,
  userId: UserId,
): Promise<void> {
  const membership = (await findMembership(database, roomId, userId))?.membership
  if (membership === 'join') return
  const server = serverNameOf(userId)
  const mayBeJoined = membership === undefined && server !== serverName && (await findPartialRoom(database, roomId))
  if (mayBeJoined && (await isServerInRoom(database, roomId, server))) return
  throw new ForbiddenError(`${userId} is not joined to the room ${roomId}`)
}

/** Creates a room in LiveKit, or leaves an existing one as it is. */
async function createLivekitRoom(
  app: Pick<App, 'clock' | 'configuredHttp' | 'logger' | 'stopping'>,
  livekit: Livekit,
  name: string,
): Promise<void> {
  const token = await sign(app, livekit, { lifetime: ADMIN_TOKEN_LIFETIME, video: { roomCreate: true } })
  const url = `${livekit.apiUrl}/twirp/livekit.RoomService/CreateRoom`
  const options = {
    timeoutMs: CREATE_TIMEOUT_MS,
    signal: app.stopping,
    headers: { authorization: `Bearer ${token}` },
  }
  try {
    const { status, body } = await app.configuredHttp.postJson(url, { name, ...ROOM_OPTIONS }, options)
    if (status !== 200) throw new Error(`LiveKit responded with ${status}: ${JSON.stringify(body)?.slice(0, 500)}`)
  } catch (error) {
    app.logger.error({ err: error, url }, 'creation of a room in LiveKit failed, check calls.livekit')
    throw new MatrixError(502, 'M_UNKNOWN', 'The call cannot start, as its media server does not answer. Retry later')
  }
}

async function sign(
  { clock }: Pick<App, 'clock'>,
  { apiKey, apiSecret }: Livekit,
  { identity, lifetime, video }: { identity?: string; lifetime: Seconds; video: object },
): Promise<string> {
  const { SignJWT } = await import('jose')
  const now = Math.floor(clock.now() / 1000)
  const token = new SignJWT({ video })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuer(apiKey)
    .setIssuedAt(now)
    .setNotBefore(now)
    .setExpirationTime(now + lifetime)
  return (identity === undefined ? token : token.setSubject(identity)).sign(new TextEncoder().encode(apiSecret))
}

/** Returns the unpadded Base64 of the SHA-256 of a JSON array, as clients compute it. */
function hashOf(names: readonly string[]): string {
  return encodeBase64(createHash('sha256').update(JSON.stringify(names)).digest())
}
