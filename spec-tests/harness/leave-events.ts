import { createHash } from 'node:crypto'
import { type Answer, ask, type TestUser } from './client.ts'
import { roomPath, v3 } from './rooms.ts'

export const DELAYED = '/_matrix/client/unstable/org.matrix.msc4140/delayed_events'
const LIVEKIT_SERVICE = '/livekit/jwt'
export const SLOT = 'm.call#ROOM'
export const CALL_MEMBER = 'org.matrix.msc3401.call.member'

/** Returns the unpadded Base64 of the SHA-256 of names, as LiveKit's rooms and identities are named. */
export function hashOf(names: string[]): string {
  return createHash('sha256').update(JSON.stringify(names)).digest('base64').replaceAll('=', '')
}

/** A user's membership in the call of a room, which a delayed event ends. */
export type CallMember = {
  user: TestUser
  roomId: string
  delayId: string
  /** In LiveKit. */
  room: string
  identity: string
}

function memberPath({ userId, deviceId }: TestUser, roomId: string): string {
  return roomPath(roomId, `state/${CALL_MEMBER}/${encodeURIComponent(`_${userId}_${deviceId}_m.call`)}`)
}

/** Joins the call of a room, and schedules the event that ends the membership. `delay` in milliseconds. */
export async function joinCall(user: TestUser, roomId: string, delay = 3_600_000): Promise<CallMember> {
  const path = memberPath(user, roomId)
  await user.put(path, { application: 'm.call', call_id: '', device_id: user.deviceId })
  const { delay_id: delayId } = await user.put(`${path}?org.matrix.msc4140.delay=${delay}`, {})
  const identity = hashOf([user.userId, user.deviceId, 'member 1'])
  return { user, roomId, delayId, room: hashOf([roomId, SLOT]), identity }
}

/** Returns whether a user is in the call of a room. */
export async function isInCall({ user, roomId }: Pick<CallMember, 'user' | 'roomId'>): Promise<boolean> {
  return 'application' in (await user.get(memberPath(user, roomId)))
}

/** Hands the leave event over by the client API. `changes`: to the body. */
export function handOver({ user, roomId, delayId }: CallMember, changes: object = {}): Promise<Answer> {
  const body = { room_id: roomId, slot_id: SLOT, member_id: 'member 1', delay_id: delayId, delay_timeout: 3_600_000 }
  return user.ask('POST', '/_matrix/client/v1/rtc/livekit/delegate_delayed_leave', { ...body, ...changes })
}

export async function openIdToken(user: TestUser): Promise<Record<string, unknown>> {
  return user.post(`${v3}/user/${encodeURIComponent(user.userId)}/openid/request_token`)
}

/** Sends a request to the service for users without an access token. */
export function askService(url: string, path: string, body: object): Promise<Answer> {
  return ask(url, { method: 'POST', path: `${LIVEKIT_SERVICE}${path}`, body })
}
