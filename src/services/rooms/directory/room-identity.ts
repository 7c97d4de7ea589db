import type { UserId } from '../../../core/ids.ts'
import type { Db } from '../../../storage/engine/database.ts'
import { readStateEvents, type StateOverlay } from '../../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'

/**
 * Reads the state events that identify a room to non-members: `m.room.create`, name, avatar and so on, and the
 * inviter's member event.
 */
const IDENTIFYING_TYPES = [
  'm.room.create',
  'm.room.name',
  'm.room.avatar',
  'm.room.topic',
  'm.room.join_rules',
  'm.room.canonical_alias',
  'm.room.encryption',
]

/**
 * Reads the state events that identify a room to non-members: `m.room.create`, name, avatar and so on, and the
 * inviter's member event.
 */
export async function readRoomIdentity(
  db: Db,
  { root, inviter, overlay }: { root: number; inviter?: UserId | undefined; overlay?: StateOverlay },
): Promise<StoredEvent[]> {
  const keys = IDENTIFYING_TYPES.map((type) => ({ type, state_key: '' }))
  if (inviter !== undefined) keys.push({ type: 'm.room.member', state_key: inviter })
  const events = await readStateEvents(db, root, keys, overlay)
  return events.flatMap((event) => event ?? [])
}
