import { sql } from 'kysely'
import type { DeviceId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { DeviceKey } from '../schema/users.ts'
import { noteDeviceListChange } from './device-lists.ts'

/** Identity keys of a device, with its display name. */
export type StoredDeviceKeys = { user_id: UserId; device_id: DeviceId; key_json: string; display_name: string | null }

/** Locks a device against deletion and other uploads until the transaction ends; false if it does not exist. */
export async function lockDevice(tx: Tx, { userId, deviceId }: DeviceKey): Promise<boolean> {
  const { rows } = await sql`select 1 from devices where user_id = ${userId} and device_id = ${deviceId}
    for no key update`.execute(tx.sql)
  return rows.length > 0
}

/** Returns the bytes of the identity keys of all devices of a user. */
export async function measureDeviceKeys(db: Db, userId: UserId): Promise<number> {
  const { rows } = await sql<{ bytes: number }>`select coalesce(sum(octet_length(key_json)), 0)::float8 as bytes
    from device_keys where user_id = ${userId}`.execute(db.sql)
  return rows[0]!.bytes
}

/**
 * Stores a device's identity keys (canonical JSON). If they changed, notifies users who track the user's devices;
 * otherwise returns false.
 */
export async function storeDeviceKeys(tx: Tx, { userId, deviceId }: DeviceKey, keyJson: string): Promise<boolean> {
  const result =
    await sql`insert into device_keys (user_id, device_id, key_json) values (${userId}, ${deviceId}, ${keyJson})
    on conflict (user_id, device_id) do update set key_json = excluded.key_json
    where device_keys.key_json <> excluded.key_json`.execute(tx.sql)
  if (result.numAffectedRows === 0n) return false
  await sql`delete from cross_signing_signatures where target_user_id = ${userId} and target_key = ${deviceId}`.execute(
    tx.sql,
  )
  noteDeviceListChange(tx, userId, `device ${deviceId}`)
  return true
}

/**
 * Returns identity keys of local users' devices, in one query. `deviceIds` undefined: all devices of the user. Omits
 * devices without keys. If all keys together are over `bytes`, omits devices of the users with the most bytes.
 */
export async function loadDeviceKeys(
  db: Db,
  wanted: readonly { userId: UserId; deviceIds?: readonly string[] | undefined }[],
  bytes: number,
): Promise<StoredDeviceKeys[]> {
  const pairs = wanted.flatMap(({ userId, deviceIds = [null] }) =>
    [...new Set(deviceIds)].map((deviceId) => ({ userId, deviceId })),
  )
  const { rows } = await sql<StoredDeviceKeys>`select user_id, device_id, key_json, display_name from (
    select *, sum(octet_length(key_json)) over (order by user_bytes, user_id, device_id) as bytes from (
    select device_keys.*, devices.display_name, sum(octet_length(key_json)) over (partition by device_keys.user_id) as user_bytes
    from unnest(${pairs.map((pair) => pair.userId)}::text[], ${pairs.map((pair) => pair.deviceId)}::text[])
      as wanted(user_id, device_id)
    join device_keys on device_keys.user_id = wanted.user_id
      and (wanted.device_id is null or device_keys.device_id = wanted.device_id)
    join devices on devices.user_id = device_keys.user_id and devices.device_id = device_keys.device_id
    ) as found) as counted where bytes <= ${bytes}::bigint order by user_id, device_id`.execute(db.sql)
  return rows
}
