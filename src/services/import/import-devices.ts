import type { DeviceId, UserId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { insertRows } from '../../storage/import/insert-rows.ts'
import { SALT_LENGTH } from '../users/issue-tokens.ts'
import { hashToken, importedFamilyOf } from '../users/tokens.ts'
import { type ImportStep, rowStep, textOf } from './import-step.ts'

type DeviceRow = {
  user_id: UserId
  device_id: DeviceId
  display_name: string | null
  creation_ts: number | null
  last_seen: number | null
  ip: string | null
  user_agent: string | null
}

/** Hidden rows are cross-signing keys. */
const OWN_DEVICE = 'devices.hidden is not true'
const OF_DEVICE = 'join devices on devices.user_id = keys.user_id and devices.device_id = keys.device_id'

const devices = rowStep<DeviceRow>({
  name: 'devices',
  table: 'devices',
  columns: 'devices.user_id, device_id, display_name, creation_ts, last_seen, ip, user_agent',
  from: 'devices join users on users.name = devices.user_id',
  where: OWN_DEVICE,
  key: ['devices.user_id', 'device_id'],
  store: (tx, rows) =>
    insertRows(
      tx,
      'devices',
      rows.map((row) => ({
        user_id: row.user_id,
        device_id: row.device_id,
        display_name: row.display_name,
        // Synapse does not store when a device was created.
        created_ts: row.last_seen ?? (row.creation_ts ?? 0) * 1000,
        last_seen_ts: row.last_seen,
        last_seen_ip: row.ip,
        last_seen_user_agent: row.user_agent,
      })),
    ),
})

/** Tokens that were replaced are left out: their client has the next one. */
const refreshTokens = rowStep<{ user_id: UserId; device_id: DeviceId; token: string }>({
  name: 'refresh tokens',
  table: 'refresh_tokens',
  columns: 'keys.user_id, keys.device_id, keys.token',
  from: `refresh_tokens as keys ${OF_DEVICE}`,
  where: `next_token_id is null and ${OWN_DEVICE}`,
  key: ['keys.id'],
  store: (tx, rows, { random }) =>
    insertRows(
      tx,
      'refresh_tokens',
      rows.map(({ user_id, device_id, token }) => ({
        token_hash: hashToken(token),
        user_id,
        device_id,
        salt: random.token(SALT_LENGTH),
        family_hash: hashToken(importedFamilyOf(token)),
        generation: 0,
      })),
    ),
})

type TokenRow = {
  user_id: UserId
  device_id: DeviceId | null
  token: string
  valid_until_ms: number | null
  refresh_token: string | null
}

/** Tokens with which an administrator acts as another user are left out. */
const accessTokens = rowStep<TokenRow>({
  name: 'access tokens',
  table: 'access_tokens',
  columns: `keys.user_id, devices.device_id, keys.token, valid_until_ms,
    case when refresh_tokens.next_token_id is null and devices.device_id is not null then refresh_tokens.token end as refresh_token`,
  from: `access_tokens as keys join users on users.name = keys.user_id
    left join devices on devices.user_id = keys.user_id and devices.device_id = keys.device_id and ${OWN_DEVICE}
    left join refresh_tokens on refresh_tokens.id = keys.refresh_token_id and refresh_tokens.device_id = keys.device_id`,
  where: 'puppets_user_id is null and deactivated = 0',
  key: ['keys.id'],
  store: (tx, rows) =>
    insertRows(
      tx,
      'access_tokens',
      rows.map(({ user_id, device_id, token, valid_until_ms, refresh_token }) => ({
        token_hash: hashToken(token),
        user_id,
        device_id,
        expires_ts: valid_until_ms,
        refresh_token_hash: refresh_token === null ? null : hashToken(refresh_token),
      })),
    ),
})

type KeyRow = { user_id: UserId; device_id: DeviceId; key_json: string }

const deviceKeys = rowStep<KeyRow>({
  name: 'device keys',
  table: 'device_keys',
  columns: 'keys.user_id, keys.device_id, key_json',
  from: `e2e_device_keys_json as keys ${OF_DEVICE}`,
  where: OWN_DEVICE,
  key: ['keys.user_id', 'keys.device_id'],
  store: (tx, rows) =>
    insertRows(
      tx,
      'device_keys',
      rows.map(({ user_id, device_id, key_json }) => ({ user_id, device_id, key_json: withoutUnsignedKeys(key_json) })),
    ),
})

function withoutUnsignedKeys(text: string): string {
  const { unsigned, ...keys } = JSON.parse(text) as JsonObject
  return unsigned === undefined ? text : JSON.stringify(keys)
}

type OneTimeKeyRow = KeyRow & { algorithm: string; key_id: string }

const oneTimeKeys = rowStep<OneTimeKeyRow>({
  name: 'one-time keys',
  table: 'one_time_keys',
  columns: 'keys.user_id, keys.device_id, algorithm, key_id, key_json',
  from: `e2e_one_time_keys_json as keys ${OF_DEVICE}`,
  where: OWN_DEVICE,
  // Keys are claimed in the order of their upload.
  key: ['ts_added_ms', 'keys.user_id', 'keys.device_id', 'algorithm', 'key_id'],
  store: (tx, rows) => insertRows(tx, 'one_time_keys', rows.map(oneTimeKey)),
})

const fallbackKeys = rowStep<OneTimeKeyRow & { used: unknown }>({
  name: 'fallback keys',
  table: 'fallback_keys',
  columns: 'keys.user_id, keys.device_id, algorithm, key_id, key_json, used',
  from: `e2e_fallback_keys_json as keys ${OF_DEVICE}`,
  where: OWN_DEVICE,
  key: ['keys.user_id', 'keys.device_id', 'algorithm'],
  store: (tx, rows) =>
    insertRows(
      tx,
      'fallback_keys',
      rows.map((row) => ({ ...oneTimeKey(row), used: Boolean(row.used) })),
    ),
})

function oneTimeKey({ user_id, device_id, algorithm, key_id, key_json }: OneTimeKeyRow) {
  return { user_id, device_id, algorithm, key_id, key_json }
}

/** Of several keys of a type, the last one counts. */
const crossSigningKeys = rowStep<{ user_id: UserId; keytype: string; keydata: string }>({
  name: 'cross-signing keys',
  table: 'cross_signing_keys',
  columns: 'keys.user_id, keytype, keydata',
  from: 'e2e_cross_signing_keys as keys',
  where: `keytype in ('master', 'self_signing', 'user_signing') and stream_id = (select max(stream_id)
    from e2e_cross_signing_keys as same where same.user_id = keys.user_id and same.keytype = keys.keytype)`,
  key: ['keys.user_id', 'keytype'],
  store: (tx, rows) =>
    insertRows(
      tx,
      'cross_signing_keys',
      rows.map(({ user_id, keytype, keydata }) => ({
        user_id,
        usage: keytype,
        public_key: Object.values((JSON.parse(keydata) as { keys: Record<string, string> }).keys)[0],
        key_json: keydata,
      })),
    ),
})

type SignatureRow = {
  user_id: UserId
  key_id: string
  target_user_id: UserId
  target_device_id: string
  signature: string
}

const crossSigningSignatures = rowStep<SignatureRow>({
  name: 'cross-signing signatures',
  columns: 'user_id, key_id, target_user_id, target_device_id, signature',
  from: 'e2e_cross_signing_signatures',
  key: ['user_id', 'target_user_id', 'target_device_id', 'key_id', 'signature'],
  store: (tx, rows) =>
    insertRows(
      tx,
      'cross_signing_signatures',
      rows.map((row) => ({
        signer: row.user_id,
        signing_key_id: row.key_id,
        target_user_id: row.target_user_id,
        target_key: row.target_device_id,
        signature: row.signature,
      })),
    ),
})

type BackupRow = {
  user_id: UserId
  version: number
  algorithm: string
  auth_data: string
  deleted: number
  etag: number | null
  key_count: number
  key_bytes: number | null
}

const BACKUP_BYTES = 'length(session_data) + length(room_id) + length(session_id)'

const keyBackups = rowStep<BackupRow>({
  name: 'key backups',
  table: 'key_backups',
  columns: `user_id, version, algorithm, auth_data, deleted, etag,
    (select count(*) from e2e_room_keys as keys where keys.user_id = backups.user_id and keys.version = backups.version) as key_count,
    (select cast(sum(${BACKUP_BYTES}) as bigint) from e2e_room_keys as keys
      where keys.user_id = backups.user_id and keys.version = backups.version) as key_bytes`,
  from: 'e2e_room_keys_versions as backups join users on users.name = user_id',
  key: ['user_id', 'version'],
  store: (tx, rows) =>
    insertRows(
      tx,
      'key_backups',
      rows.map((row) => ({
        user_id: row.user_id,
        version: row.version,
        algorithm: row.algorithm,
        auth_data: row.auth_data,
        etag: row.etag ?? 0,
        key_count: row.key_count,
        key_bytes: row.key_bytes ?? 0,
        deleted: Boolean(row.deleted),
      })),
    ),
})

type BackedUpKeyRow = {
  user_id: UserId
  version: number
  room_id: string
  session_id: string
  first_message_index: number | null
  forwarded_count: number | null
  is_verified: unknown
  session_data: string
}

const backedUpKeys = rowStep<BackedUpKeyRow>({
  name: 'backed-up keys',
  table: 'key_backup_sessions',
  columns: `keys.user_id, keys.version, room_id, session_id, first_message_index, forwarded_count, is_verified,
    session_data`,
  from: `e2e_room_keys as keys join e2e_room_keys_versions as backups
      on backups.user_id = keys.user_id and backups.version = keys.version
    join users on users.name = keys.user_id`,
  key: ['keys.user_id', 'keys.version', 'room_id', 'session_id'],
  store: (tx, rows) =>
    insertRows(
      tx,
      'key_backup_sessions',
      rows.map((row) => ({
        user_id: row.user_id,
        version: row.version,
        room_id: row.room_id,
        session_id: row.session_id,
        first_message_index: row.first_message_index ?? 0,
        forwarded_count: row.forwarded_count ?? 0,
        is_verified: Boolean(row.is_verified),
        session_data: row.session_data,
      })),
    ),
})

const dehydratedDevices = rowStep<{ user_id: UserId; device_id: DeviceId; device_data: string | Uint8Array }>({
  name: 'dehydrated devices',
  table: 'dehydrated_devices',
  columns: 'keys.user_id, keys.device_id, device_data',
  from: `dehydrated_devices as keys ${OF_DEVICE}`,
  where: OWN_DEVICE,
  key: ['keys.user_id'],
  store: (tx, rows) =>
    insertRows(
      tx,
      'dehydrated_devices',
      rows.map(({ user_id, device_id, device_data }) => ({ user_id, device_id, device_data: textOf(device_data) })),
    ),
})

/** Devices and their keys. */
export const DEVICE_STEPS: readonly ImportStep[] = [
  ...[devices, deviceKeys, oneTimeKeys, fallbackKeys, crossSigningKeys],
  ...[crossSigningSignatures, keyBackups, backedUpKeys, dehydratedDevices],
]

/** The tokens of devices. With MAS, those of Synapse are from before. */
export const TOKEN_STEPS: readonly ImportStep[] = [refreshTokens, accessTokens]
