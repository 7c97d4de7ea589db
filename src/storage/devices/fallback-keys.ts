import { sql } from 'kysely'
import type { Db, Tx } from '../engine/database.ts'
import type { DeviceKey } from '../schema/users.ts'
import { type ClaimedKey, type KeyClaim, noteKeyCountChange, type UploadedKey } from './one-time-keys.ts'

/** Replaces a device's fallback keys of the algorithms of `keys`. An unchanged key keeps its used flag. */
export async function replaceFallbackKeys(
  tx: Tx,
  { userId, deviceId }: DeviceKey,
  keys: readonly UploadedKey[],
): Promise<void> {
  if (keys.length === 0) return
  await sql`insert into fallback_keys as old (user_id, device_id, algorithm, key_id, key_json)
    select ${userId}, ${deviceId}, algorithm, key_id, key_json
    from unnest(${keys.map((key) => key.algorithm)}::text[], ${keys.map((key) => key.key_id)}::text[],
      ${keys.map((key) => key.key_json)}::text[]) as uploaded(algorithm, key_id, key_json)
    on conflict (user_id, device_id, algorithm) do update set key_id = excluded.key_id, key_json = excluded.key_json,
      used = old.used and old.key_id = excluded.key_id and old.key_json = excluded.key_json`.execute(tx.sql)
  noteKeyCountChange(tx, { userId, deviceId })
}

/** Counts a device's fallback keys. */
export async function countFallbackKeys(db: Db, { userId, deviceId }: DeviceKey): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from fallback_keys
    where user_id = ${userId} and device_id = ${deviceId}`.execute(db.sql)
  return rows[0]!.count
}

/**
 * Returns fallback keys for claims that found no one-time key, and marks them as used. Claims without a fallback key
 * are omitted.
 */
export async function useFallbackKeys(tx: Tx, claims: readonly KeyClaim[]): Promise<ClaimedKey[]> {
  if (claims.length === 0) return []
  const { rows } = await sql<
    ClaimedKey & { used: boolean }
  >`select user_id, device_id, algorithm, key_id, key_json, used
    from fallback_keys join unnest(${claims.map((claim) => claim.user_id)}::text[],
        ${claims.map((claim) => claim.device_id)}::text[], ${claims.map((claim) => claim.algorithm)}::text[])
      as wanted(user_id, device_id, algorithm) using (user_id, device_id, algorithm)`.execute(tx.sql)
  const fresh = rows.filter((row) => !row.used)
  if (fresh.length > 0) await markUsed(tx, fresh)
  return rows.map(({ used: _used, ...key }) => key)
}

/** Returns the algorithms for which a device has an unused fallback key. */
export async function loadUnusedFallbackKeyTypes(db: Db, { userId, deviceId }: DeviceKey): Promise<string[]> {
  const { rows } = await sql<{ algorithm: string }>`select algorithm from fallback_keys
    where user_id = ${userId} and device_id = ${deviceId} and not used order by algorithm`.execute(db.sql)
  return rows.map(({ algorithm }) => algorithm)
}

/** Returns the same for several devices. */
export async function loadUnusedFallbackKeyTypesOf(
  db: Db,
  devices: readonly DeviceKey[],
): Promise<(DeviceKey & { algorithm: string })[]> {
  const { rows } = await sql<
    DeviceKey & { algorithm: string }
  >`select user_id as "userId", device_id as "deviceId", algorithm
    from fallback_keys join unnest(${devices.map((device) => device.userId)}::text[],
      ${devices.map((device) => device.deviceId)}::text[]) as asked(user_id, device_id) using (user_id, device_id)
    where not used order by algorithm`.execute(db.sql)
  return rows
}

async function markUsed(tx: Tx, keys: readonly ClaimedKey[]): Promise<void> {
  await sql`update fallback_keys set used = true
    from unnest(${keys.map((key) => key.user_id)}::text[], ${keys.map((key) => key.device_id)}::text[],
      ${keys.map((key) => key.algorithm)}::text[], ${keys.map((key) => key.key_id)}::text[])
      as given(user_id, device_id, algorithm, key_id)
    where (fallback_keys.user_id, fallback_keys.device_id, fallback_keys.algorithm, fallback_keys.key_id)
      = (given.user_id, given.device_id, given.algorithm, given.key_id)`.execute(tx.sql)
  for (const { user_id, device_id } of keys) noteKeyCountChange(tx, { userId: user_id, deviceId: device_id })
}
