import { sql } from 'kysely'
import type { DeviceId, RoomId, ServerName, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { CrossSigningKeyRow } from '../schema/devices.ts'
import type { RemoteDeviceListRow } from '../schema/federation.ts'
import { storeCrossSigningKeys } from './cross-signing-keys.ts'
import { noteDeviceListChange } from './device-lists.ts'

/** A device of a remote user; `key_json`: canonical JSON. */
export type RemoteDevice = { device_id: DeviceId; key_json: string; display_name: string | null }

/** Returns which of some users share a room with a local user. */
export async function filterUsersInRooms(db: Db, userIds: readonly UserId[]): Promise<Set<UserId>> {
  const { rows } = await sql<{ user_id: UserId }>`select user_id from unnest(${userIds}::text[]) as wanted(user_id)
    where exists (select 1 from room_memberships as theirs where theirs.user_id = wanted.user_id
      and theirs.membership = 'join' and exists (select 1 from room_lists as ours
        where ours.room_id = theirs.room_id and ours.membership = 'join'))`.execute(db.sql)
  return new Set(rows.map((row) => row.user_id))
}

/**
 * Returns the devices of users whose lists are current here; for the others, the caller must request them
 * (`wantDeviceLists`, or a query of their server). Their cross-signing keys are current as well. If all keys together
 * are over `bytes`, omits devices of the users with the most bytes.
 */
export async function loadRemoteDevices(
  db: Db,
  userIds: readonly UserId[],
  bytes: number,
): Promise<Map<UserId, RemoteDevice[]>> {
  if (userIds.length === 0) return new Map()
  const { rows } = await sql<{ user_id: UserId } & (RemoteDevice | { device_id: null })>`with devices as (
      select *, sum(octet_length(key_json)) over (order by user_bytes, user_id, device_id) as bytes from (
        select *, sum(octet_length(key_json)) over (partition by user_id) as user_bytes from remote_device_keys
        where user_id = any(${userIds}::text[])
      ) as found
    )
    select lists.user_id, device_id, key_json, display_name
    from remote_device_lists as lists
      left join (select * from devices where bytes <= ${bytes}::bigint) as devices using (user_id)
    where lists.user_id = any(${userIds}::text[]) and not is_stale order by lists.user_id, device_id`.execute(db.sql)
  const devices = new Map<UserId, RemoteDevice[]>()
  for (const { user_id, ...device } of rows) {
    const known = devices.get(user_id) ?? []
    devices.set(user_id, known)
    if (device.device_id !== null) known.push(device)
  }
  return devices
}

/**
 * Locks a user's device list until the transaction ends, and returns its state; undefined if it was never requested.
 */
export async function lockDeviceList(tx: Tx, userId: UserId): Promise<RemoteDeviceListRow | undefined> {
  const { rows } = await sql<RemoteDeviceListRow>`select * from remote_device_lists where user_id = ${userId}
    for update`.execute(tx.sql)
  return rows[0]
}

/** Requests the device lists of some users: missing ones are fetched and then kept current. */
export async function wantDeviceLists(tx: Tx, users: readonly { userId: UserId; server: ServerName }[]): Promise<void> {
  await sql`insert into remote_device_lists (user_id, server_name, is_stale)
    select user_id, server_name, true from unnest(${users.map((user) => user.userId)}::text[],
      ${users.map((user) => user.server)}::text[]) as wanted(user_id, server_name) order by user_id
    on conflict do nothing`.execute(tx.sql)
}

/** Marks a list as stale after a missed change: it will be fetched again. */
export async function markDeviceListStale(tx: Tx, userId: UserId): Promise<void> {
  await sql`update remote_device_lists set is_stale = true, version = version + 1,
      retry_ts = case when is_stale then retry_ts else 0 end where user_id = ${userId}`.execute(tx.sql)
}

/**
 * Applies one change to a current list, and notifies users who share a room with its user. Returns false, without a
 * change, if the user would have more than `most` devices.
 */
export async function storeDeviceChange(
  tx: Tx,
  change: { userId: UserId; streamId: number } & ({ deleted: DeviceId } | { device: RemoteDevice }),
  most: { bytes: number; devices: number },
): Promise<boolean> {
  const { userId, streamId } = change
  await sql`update remote_device_lists set stream_id = ${streamId}::bigint, version = version + 1
    where user_id = ${userId}`.execute(tx.sql)
  if ('deleted' in change) {
    await sql`delete from remote_device_keys where user_id = ${userId} and device_id = ${change.deleted}`.execute(
      tx.sql,
    )
  } else {
    const { device_id, key_json, display_name } = change.device
    const result = await sql`insert into remote_device_keys (user_id, device_id, key_json, display_name)
      select ${userId}, ${device_id}, ${key_json}, ${display_name}
      from (select count(*) as devices, coalesce(sum(octet_length(key_json)), 0) as bytes from remote_device_keys
        where user_id = ${userId} and device_id <> ${device_id}) as others
      where devices < ${most.devices}::int and bytes + octet_length(${key_json}::text) <= ${most.bytes}::bigint
      on conflict (user_id, device_id) do update set key_json = excluded.key_json, display_name = excluded.display_name`.execute(
      tx.sql,
    )
    if (result.numAffectedRows === 0n) return false
  }
  noteDeviceListChange(tx, userId, `device ${'deleted' in change ? change.deleted : change.device.device_id}`)
  return true
}

/** A device list as its server returned it; absent cross-signing keys do not exist. */
export type FetchedDeviceList = {
  userId: UserId
  streamId: number
  devices: readonly RemoteDevice[]
  crossSigning: readonly Omit<CrossSigningKeyRow, 'user_id'>[]
}

/**
 * Stores a list that was fetched at `version`. If it changed in the meantime, it stays stale. Notifies users who share
 * a room with the user if anything changed.
 */
export async function storeDeviceList(tx: Tx, list: FetchedDeviceList, version: number): Promise<void> {
  const { userId, streamId, devices } = list
  const { rows } = await sql<RemoteDeviceListRow>`update remote_device_lists set stream_id = ${streamId}::bigint,
      is_stale = version <> ${version}::bigint, failures = 0, retry_ts = 0, leased_until = 0
    where user_id = ${userId} returning *`.execute(tx.sql)
  // No local user shares a room with the user any longer.
  if (rows.length === 0) return
  const gone = await sql`delete from remote_device_keys where user_id = ${userId}
    and device_id <> all(${devices.map((device) => device.device_id)}::text[])`.execute(tx.sql)
  const stored = await sql`insert into remote_device_keys (user_id, device_id, key_json, display_name)
    select ${userId}, device_id, key_json, display_name from unnest(${devices.map((device) => device.device_id)}::text[],
      ${devices.map((device) => device.key_json)}::text[], ${devices.map((device) => device.display_name)}::text[])
      as devices(device_id, key_json, display_name)
    on conflict (user_id, device_id) do update set key_json = excluded.key_json, display_name = excluded.display_name
      where (remote_device_keys.key_json, remote_device_keys.display_name)
        is distinct from (excluded.key_json, excluded.display_name)`.execute(tx.sql)
  const signed = await replaceRemoteCrossSigning(tx, userId, list.crossSigning)
  const isNews = signed || gone.numAffectedRows !== 0n || stored.numAffectedRows !== 0n
  if (isNews) noteDeviceListChange(tx, userId, 'cross_signing')
}

/** Returns whether anything changed. */
async function replaceRemoteCrossSigning(
  tx: Tx,
  userId: UserId,
  keys: readonly Omit<CrossSigningKeyRow, 'user_id'>[],
): Promise<boolean> {
  const { rows } = await sql<CrossSigningKeyRow>`select * from cross_signing_keys where user_id = ${userId}`.execute(
    tx.sql,
  )
  const isSame = (old: CrossSigningKeyRow) =>
    keys.some((key) => key.usage === old.usage && key.key_json === old.key_json)
  if (rows.length === keys.length && rows.every(isSame)) return false
  await sql`delete from cross_signing_keys where user_id = ${userId}
    and usage <> all(${keys.map((key) => key.usage)}::text[])`.execute(tx.sql)
  if (keys.length > 0) await storeCrossSigningKeys(tx, userId, keys)
  return true
}

/** Returns stale lists without a lease, the longest waiting first. */
export async function findStaleLists(db: Db, now: number, limit: number): Promise<RemoteDeviceListRow[]> {
  const { rows } = await sql<RemoteDeviceListRow>`select * from remote_device_lists where is_stale
    and retry_ts <= ${now}::bigint and leased_until <= ${now}::bigint order by retry_ts limit ${limit}::int`.execute(
    db.sql,
  )
  return rows
}

/**
 * Acquires a lease on a stale list until `until`; undefined if another process holds it, or if the list is current or
 * in back-off.
 */
export async function leaseStaleList(
  tx: Tx,
  userId: UserId,
  { now, until }: { now: number; until: number },
): Promise<RemoteDeviceListRow | undefined> {
  const { rows } = await sql<RemoteDeviceListRow>`update remote_device_lists set leased_until = ${until}::bigint
    where user_id = ${userId} and is_stale and retry_ts <= ${now}::bigint and leased_until <= ${now}::bigint
    returning *`.execute(tx.sql)
  return rows[0]
}

/** Sets the back-off of a list that could not be fetched. */
export async function restStaleList(tx: Tx, userId: UserId, retryAt: number): Promise<void> {
  await sql`update remote_device_lists set failures = failures + 1, retry_ts = ${retryAt}::bigint, leased_until = 0
    where user_id = ${userId}`.execute(tx.sql)
}

/**
 * Deletes the device lists of users who joined or left a room, or who are in a room that the last local user joined or
 * left. If they share no other room, their server did not send all changes, or will stop sending them.
 */
export async function forgetUnsharedLists(
  tx: Tx,
  moves: readonly { roomId: RoomId; userId: UserId; isOurs: boolean }[],
): Promise<void> {
  const users = moves.filter((move) => !move.isOurs)
  const rooms = [...new Set(moves.filter((move) => move.isOurs).map((move) => move.roomId))]
  await sql`with lonely as materialized (
      select room_id from unnest(${rooms}::text[]) as moved(room_id)
      where (select count(*) from (select 1 from room_lists as ours
        where ours.room_id = moved.room_id and ours.membership = 'join' limit 2) as counted) < 2
    ), concerned as (
      select * from unnest(${users.map((user) => user.userId)}::text[], ${users.map((user) => user.roomId)}::text[])
        as moved(user_id, room_id)
      union
      select members.user_id, room_id from lonely join room_memberships as members using (room_id)
        join remote_device_lists using (user_id) where members.membership = 'join'
    )
    delete from remote_device_lists using concerned where remote_device_lists.user_id = concerned.user_id
      and not exists (select 1 from room_memberships as theirs where theirs.user_id = concerned.user_id
        and theirs.membership = 'join' and theirs.room_id <> concerned.room_id
        and exists (select 1 from room_lists as ours
          where ours.room_id = theirs.room_id and ours.membership = 'join'))`.execute(tx.sql)
}
