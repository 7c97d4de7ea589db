import { sql } from 'kysely'
import type { DeviceId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { appendToStream } from '../engine/stream-append.ts'
import type { DeviceKey } from '../schema/users.ts'

/** A one-time or fallback key; `key_json` is canonical JSON. */
export type UploadedKey = { algorithm: string; key_id: string; key_json: string }

/** A requested key, and a claimed one. */
export type KeyClaim = { user_id: UserId; device_id: DeviceId; algorithm: string }
export type ClaimedKey = KeyClaim & { key_id: string; key_json: string }

/** Adds keys to a device; existing ones are unchanged. Returns those whose id belongs to a different key. */
export async function addOneTimeKeys(
  tx: Tx,
  { userId, deviceId }: DeviceKey,
  keys: readonly UploadedKey[],
): Promise<UploadedKey[]> {
  if (keys.length === 0) return []
  const uploaded = sql`unnest(${keys.map((key) => key.algorithm)}::text[], ${keys.map((key) => key.key_id)}::text[],
    ${keys.map((key) => key.key_json)}::text[]) as uploaded(algorithm, key_id, key_json)`
  const result = await sql`insert into one_time_keys (user_id, device_id, algorithm, key_id, key_json)
    select ${userId}, ${deviceId}, algorithm, key_id, key_json from ${uploaded} on conflict do nothing`.execute(tx.sql)
  const added = Number(result.numAffectedRows)
  if (added > 0) noteKeyCountChange(tx, { userId, deviceId })
  return added === keys.length ? [] : differing(tx, uploaded, { userId, deviceId })
}

async function differing(
  tx: Tx,
  uploaded: ReturnType<typeof sql>,
  { userId, deviceId }: DeviceKey,
): Promise<UploadedKey[]> {
  const { rows } = await sql<UploadedKey>`select uploaded.* from ${uploaded} join one_time_keys known
      on known.user_id = ${userId} and known.device_id = ${deviceId}
      and known.algorithm = uploaded.algorithm and known.key_id = uploaded.key_id
    where known.key_json <> uploaded.key_json`.execute(tx.sql)
  return rows
}

/**
 * Claims one key for each request, the oldest first; requests without a key are omitted. Parallel claims in any process
 * never get the same key: each skips rows that another has locked.
 */
export async function takeOneTimeKeys(tx: Tx, claims: readonly KeyClaim[]): Promise<ClaimedKey[]> {
  const { rows } = await sql<ClaimedKey>`with picked as (
      select key.* from unnest(${claims.map((claim) => claim.user_id)}::text[],
          ${claims.map((claim) => claim.device_id)}::text[], ${claims.map((claim) => claim.algorithm)}::text[])
        as wanted(user_id, device_id, algorithm)
      cross join lateral (
        select user_id, device_id, algorithm, key_id from one_time_keys
        where (user_id, device_id, algorithm) = (wanted.user_id, wanted.device_id, wanted.algorithm)
        order by upload_order limit 1 for update skip locked
      ) key
    )
    delete from one_time_keys using picked
    where (one_time_keys.user_id, one_time_keys.device_id, one_time_keys.algorithm, one_time_keys.key_id)
      = (picked.user_id, picked.device_id, picked.algorithm, picked.key_id)
    returning one_time_keys.user_id, one_time_keys.device_id, one_time_keys.algorithm, one_time_keys.key_id,
      one_time_keys.key_json`.execute(tx.sql)
  for (const { user_id, device_id } of rows) noteKeyCountChange(tx, { userId: user_id, deviceId: device_id })
  return rows
}

/** Counts a device's one-time keys, by algorithm. */
export async function countOneTimeKeys(db: Db, { userId, deviceId }: DeviceKey): Promise<Record<string, number>> {
  const { rows } = await sql<{ algorithm: string; count: number }>`select algorithm, count(*)::int as count
    from one_time_keys where user_id = ${userId} and device_id = ${deviceId} group by algorithm`.execute(db.sql)
  return Object.fromEntries(rows.map(({ algorithm, count }) => [algorithm, count]))
}

/** Counts them for several devices. */
export async function countOneTimeKeysOf(
  db: Db,
  devices: readonly DeviceKey[],
): Promise<(DeviceKey & { algorithm: string; count: number })[]> {
  const { rows } = await sql<DeviceKey & { algorithm: string; count: number }>`select user_id as "userId",
      device_id as "deviceId", algorithm, count(*)::int as count
    from one_time_keys join unnest(${devices.map((device) => device.userId)}::text[],
      ${devices.map((device) => device.deviceId)}::text[]) as asked(user_id, device_id) using (user_id, device_id)
    group by user_id, device_id, algorithm`.execute(db.sql)
  return rows
}

/** Appends to the stream that the key counts of a device changed. */
export function noteKeyCountChange(tx: Tx, { userId, deviceId }: DeviceKey): void {
  const isNoted = tx.streamRows.some(
    (row) => row.kind === 'one_time_keys' && row.user_id === userId && row.detail === deviceId,
  )
  if (!isNoted) appendToStream(tx, { kind: 'one_time_keys', user_id: userId, detail: deviceId })
}
