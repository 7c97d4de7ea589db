import { createHash } from 'node:crypto'
import type { App } from '../../app.ts'
import { ForbiddenError, MatrixError } from '../../core/errors.ts'
import { type RoomId, serverNameOf, type UserId } from '../../core/ids.ts'
import { encodeBase64 } from '../../core/text/base64.ts'
import { findPartialRoom } from '../../storage/rooms/membership/partial-rooms.ts'
import { findMembership } from '../../storage/rooms/membership/room-memberships.ts'
import { isServerInRoom } from '../../storage/rooms/membership/room-servers.ts'
import { findUser } from '../../storage/users/users.ts'
import { type Livekit, requireLivekit } from './livekit.ts'
import { type LivekitApp, requestLivekit, signLivekitToken } from './livekit-api.ts'

/** A participant of a call. `slotId`: the call in the room. `identity`: their name in LiveKit. */
export type Participant = { userId: UserId; roomId: RoomId; slotId: string; identity: string }

/** The only slot of clients that request tokens in the oldest form. */
export const ROOM_SLOT = 'm.call#ROOM'

const TOKEN_LIFETIME_SECONDS = 3600
const ROOM_OPTIONS = { empty_timeout: 300, departure_timeout: 20 }
const CREATE_TIMEOUT_MS = 10_000

/** Returns the name in LiveKit of the room of a call. */
export function livekitRoomOf(roomId: RoomId, slotId: string): string {
  return hashOf([roomId, slotId])
}

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
  app: LivekitApp & Pick<App, 'config' | 'database' | 'serverName'>,
  { userId, roomId, slotId, identity }: Participant,
  rights: { canPublish: boolean },
): Promise<string> {
  const livekit = requireLivekit(app)
  await requireInCallRoom(app, roomId, userId)
  // Nobody hears and sees shadow-banned users.
  const canPublish = rights.canPublish && !(await findUser(app.database, userId))?.shadow_banned
  const room = livekitRoomOf(roomId, slotId)
  if (serverNameOf(userId) === app.serverName) await createLivekitRoom(app, livekit, room)
  const video = { roomJoin: true, roomCreate: false, canPublish, canSubscribe: true, room }
  return signLivekitToken(app, livekit, {
    identity,
    lifetimeSeconds: TOKEN_LIFETIME_SECONDS,
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
async function createLivekitRoom(app: LivekitApp, livekit: Livekit, name: string): Promise<void> {
  const body = { name, ...ROOM_OPTIONS }
  try {
    await requestLivekit(app, livekit, {
      method: 'CreateRoom',
      body,
      grant: { roomCreate: true },
      timeoutMs: CREATE_TIMEOUT_MS,
    })
  } catch (error) {
    const url = livekit.apiUrl
    app.logger.error({ err: error, url }, 'creation of a room in LiveKit failed, check calls.livekit')
    throw new MatrixError(502, 'M_UNKNOWN', 'The call cannot start, as its media server does not answer. Retry later')
  }
}

/** Returns the unpadded Base64 of the SHA-256 of a JSON array, as clients compute it. */
function hashOf(names: readonly string[]): string {
  return encodeBase64(createHash('sha256').update(JSON.stringify(names)).digest())
}
