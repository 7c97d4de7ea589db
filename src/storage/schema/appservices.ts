import type { RoomId, UserId } from '../../core/ids.ts'

/** Tables of application services: `migrations/0009_appservices.sql`. */
export type AppserviceTables = {
  appservices: AppserviceRow
  appservice_members: { appservice_id: string; room_id: RoomId; user_id: UserId }
  appservice_directory: { room_id: RoomId; appservice_id: string; network_id: string }
}

export type AppserviceRow = {
  appservice_id: string
  stream_position: number
  users: string
  leased_by: string | null
  leased_until: number
  retry_ts: number
  failures: number
  txn_id: string | null
  txn_body: string | null
  txn_position: number | null
  txn_messages: number[] | null
}
