import type { DeviceId, EventId, RoomId, UserId } from '../../core/ids.ts'

/** Tables of receipts and typing: `migrations/0005_rooms.sql`. */
export type EphemeralTables = {
  receipts: ReceiptRow
  typing: { room_id: RoomId; user_id: UserId; expires_ts: number; sent_ts: number; device_id: DeviceId | '' }
}

export type ReceiptType = 'm.read' | 'm.read.private'

export type ReceiptRow = {
  room_id: RoomId
  user_id: UserId
  receipt_type: ReceiptType
  thread_id: string
  event_id: EventId
  event_order: number
  ts: number
}
