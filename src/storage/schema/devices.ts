import type { DeviceId, RoomId, UserId } from '../../core/ids.ts'

/** Tables of end-to-end encryption: `migrations/0003_devices.sql`. */
export type EncryptionTables = {
  device_keys: { user_id: UserId; device_id: DeviceId; key_json: string }
  one_time_keys: OneTimeKeyRow
  fallback_keys: Omit<OneTimeKeyRow, 'upload_order'> & { used: boolean }
  cross_signing_keys: CrossSigningKeyRow
  cross_signing_signatures: CrossSigningSignatureRow
  cross_signing_resets: { user_id: UserId; allowed_until: number }
  to_device_messages: ToDeviceMessageRow
  to_device_transactions: {
    user_id: UserId
    device_id: DeviceId | ''
    type: string
    txn_id: string
    created_ts: number
  }
  key_backups: KeyBackupRow
  key_backup_sessions: KeyBackupSessionRow
  dehydrated_devices: { user_id: UserId; device_id: DeviceId; device_data: string }
}

type OneTimeKeyRow = {
  user_id: UserId
  device_id: DeviceId
  algorithm: string
  key_id: string
  upload_order: number
  key_json: string
}

export type CrossSigningUsage = 'master' | 'self_signing' | 'user_signing'

export type CrossSigningKeyRow = { user_id: UserId; usage: CrossSigningUsage; public_key: string; key_json: string }

export type CrossSigningSignatureRow = {
  signer: UserId
  signing_key_id: string
  target_user_id: UserId
  target_key: string
  signature: string
}

export type ToDeviceMessageRow = {
  message_nid: number
  user_id: UserId
  device_id: DeviceId
  sender: UserId
  type: string
  content: string
  /** Its counted bytes, and the total bytes of all messages that arrived up to it. */
  bytes: number
  heaped: number
}

export type KeyBackupRow = {
  user_id: UserId
  version: number
  algorithm: string
  auth_data: string
  etag: number
  deleted: boolean
  /** The number of its keys and their bytes. */
  key_count: number
  key_bytes: number
}

export type KeyBackupSessionRow = {
  user_id: UserId
  version: number
  room_id: RoomId
  session_id: string
  first_message_index: number
  forwarded_count: number
  is_verified: boolean
  session_data: string
}
