import type { RoomId, UserId } from '../../core/ids.ts'
import type { Membership } from '../../core/rooms/membership.ts'

/** Tables of room lists: `migrations/0006_room_lists.sql`. */
export type RoomListTables = { room_lists: RoomListRow; active_rooms: { room_id: RoomId } }

type RoomListRow = {
  user_id: UserId
  room_id: RoomId
  membership: Membership
  event_nid: number
  forgotten: boolean
  was_joined: boolean
  is_listed: boolean
  activity: number
  room_type: string | null
  is_encrypted: boolean
}
