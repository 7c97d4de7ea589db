import type { RoomId, UserId } from '../core/ids.ts'

/** The tables of server notices and of e-mail; `migrations/0024_notices_and_mail.sql` has their meaning. */
export type NoticesAndMailTables = {
  server_notice_rooms: { user_id: UserId; room_id: RoomId }
}
