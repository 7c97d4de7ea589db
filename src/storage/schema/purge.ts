import type { RoomId, UserId } from '../../core/ids.ts'

/** Tables of the deletion of rooms: `migrations/0023_purge.sql`. */
export type PurgeTables = {
  room_removals: { room_id: RoomId }
  room_departures: { user_id: UserId; room_id: RoomId; event: string; departed_ts: number }
}
