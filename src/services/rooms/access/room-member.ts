import { ForbiddenError } from '../../../core/errors.ts'
import type { UserId } from '../../../core/ids.ts'
import type { Membership } from '../../../core/rooms/membership.ts'
import { type LockedRoom, readLockedState } from '../../../storage/rooms/timeline/locked-room.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'

/** Reads a user's `m.room.member` in the current state of a locked room. */
export async function readMember(room: LockedRoom, userId: UserId): Promise<StoredEvent | undefined> {
  const [member] = await readLockedState(room, [{ type: 'm.room.member', state_key: userId }])
  return member
}

/** Returns the membership of a member event; undefined without an event. */
export function membershipIn(member: StoredEvent | undefined): Membership | undefined {
  return member?.pdu.content.membership as Membership | undefined
}

/** Throws M_FORBIDDEN unless a user has joined the room. */
export async function requireJoined(room: LockedRoom, userId: UserId): Promise<void> {
  if (membershipIn(await readMember(room, userId)) !== 'join') throw new ForbiddenError('You are not in this room')
}
