import type { App } from '../../../app.ts'
import { NotFoundError } from '../../../core/errors.ts'
import type { RoomId } from '../../../core/ids.ts'
import { countLocalDevices, isForgottenHere } from '../../../storage/rooms/membership/local-members.ts'
import { findRoom } from '../../../storage/rooms/room-summary.ts'
import type { RoomHead } from '../../../storage/rooms/timeline/locked-room.ts'
import { findRoomHead } from '../../../storage/rooms/timeline/room-heads.ts'
import { readStateEvent } from '../../../storage/rooms/timeline/room-state.ts'
import type { RoomRow } from '../../../storage/schema/rooms.ts'

/** Describes a room to administrators as an item of a list, in the form of Synapse's admin API. */
export function roomItem(room: RoomRow) {
  return {
    ...{ room_id: room.room_id, name: room.name, canonical_alias: room.canonical_alias },
    ...{ joined_members: room.joined_members, joined_local_members: room.joined_local_members },
    ...{ version: room.room_version, creator: room.creator, encryption: room.encryption },
    ...{ federatable: room.federatable, public: room.in_directory, join_rules: room.join_rule },
    ...{ guest_access: room.guest_access, history_visibility: room.history_visibility },
    ...{ state_events: room.member_events + room.other_state_events, room_type: room.room_type },
  }
}

/** Describes a room to administrators with all details. Throws M_NOT_FOUND. */
export async function describeRoom({ database }: Pick<App, 'database'>, roomId: RoomId) {
  const [room, head] = await Promise.all([findRoom(database, roomId), findRoomHead(database, roomId)])
  if (!room) throw unknownRoom()
  const [devices, isForgotten, tombstone] = await Promise.all([
    countLocalDevices(database, roomId),
    isForgottenHere(database, roomId),
    readStateEvent(database, head?.state_root ?? 0, 'm.room.tombstone'),
  ])
  const replacement = tombstone?.pdu.content.replacement_room
  return {
    ...roomItem(room),
    ...{ topic: room.topic, avatar: room.avatar_url, joined_local_devices: devices, forgotten: isForgotten },
    ...{ tombstoned: tombstone !== undefined },
    replacement_room: typeof replacement === 'string' ? replacement : null,
  }
}

/** Throws M_NOT_FOUND unless this server has the room. */
export async function requireRoom({ database }: Pick<App, 'database'>, roomId: RoomId): Promise<RoomHead> {
  const head = await findRoomHead(database, roomId)
  if (!head) throw unknownRoom()
  return head
}

function unknownRoom(): NotFoundError {
  return new NotFoundError('Room not found')
}
