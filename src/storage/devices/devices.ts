import { sql } from 'kysely'
import type { DeviceId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { dropDevicePresence } from '../presence/presence.ts'
import { endTypingOfDevices } from '../rooms/typing.ts'
import type { DeviceKey, DeviceRow } from '../schema/users.ts'
import { closeConnections } from '../sync/sliding-connections.ts'
import { deleteGlobalAccountData } from '../users/account-data.ts'
import { noteDeviceListChange } from './device-lists.ts'
import { noteKeyCountChange } from './one-time-keys.ts'
import { forgetDeviceTransactions } from './to-device.ts'

/**
 * Creates a device with this name, if it is new; otherwise returns false. Other users are notified when it has keys.
 */
export async function ensureDevice(
  tx: Tx,
  device: DeviceKey & { displayName: string | null; now: number },
): Promise<boolean> {
  const result = await sql`insert into devices (user_id, device_id, display_name, created_ts)
    values (${device.userId}, ${device.deviceId}, ${device.displayName}, ${device.now}::bigint)
    on conflict (user_id, device_id) do nothing`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/** Returns a user's devices, by id. */
export async function loadDevices(db: Db, userId: UserId): Promise<DeviceRow[]> {
  return db.sql.selectFrom('devices').selectAll().where('user_id', '=', userId).orderBy('device_id').execute()
}

/** Returns the devices of some users. */
export async function loadDevicesOfUsers(db: Db, userIds: readonly UserId[]): Promise<DeviceRow[]> {
  const { rows } = await sql<DeviceRow>`select * from devices where user_id = any(${userIds}::text[])
    order by user_id, device_id`.execute(db.sql)
  return rows
}

/** Returns the number of devices of some users; users without devices are absent. */
export async function countDevicesOf(db: Db, userIds: readonly UserId[]): Promise<Map<UserId, number>> {
  const { rows } = await sql<{ user_id: UserId; count: number }>`select user_id, count(*)::int as count from devices
    where user_id = any(${userIds}::text[]) group by user_id`.execute(db.sql)
  return new Map(rows.map(({ user_id, count }) => [user_id, count]))
}

/** Returns one device; undefined if it does not exist. */
export async function findDevice(db: Db, { userId, deviceId }: DeviceKey): Promise<DeviceRow | undefined> {
  const { rows } =
    await sql<DeviceRow>`select * from devices where user_id = ${userId} and device_id = ${deviceId}`.execute(db.sql)
  return rows[0]
}

/**
 * Returns the devices of a user beyond `most`: those unused for the longest time, but never `except` and the dehydrated
 * device.
 */
export async function findIdleDevices(
  db: Db,
  userId: UserId,
  { except, most }: { except: DeviceId; most: number },
): Promise<DeviceId[]> {
  const { rows } = await sql<{ device_id: DeviceId }>`select device_id from devices
    where user_id = ${userId} and device_id <> ${except}
      and not exists (select 1 from dehydrated_devices as dehydrated
        where dehydrated.user_id = devices.user_id and dehydrated.device_id = devices.device_id)
    order by greatest(last_seen_ts, created_ts) desc, device_id offset ${most - 1}::int`.execute(db.sql)
  return rows.map(({ device_id }) => device_id)
}

/** Renames a device; false if it does not exist. */
export async function renameDevice(tx: Tx, device: DeviceKey & { displayName: string | null }): Promise<boolean> {
  const { rows } = await sql<ChangedDevice>`update devices set display_name = ${device.displayName}
    where user_id = ${device.userId} and device_id = ${device.deviceId} returning device_id, ${HAS_KEYS}`.execute(
    tx.sql,
  )
  noteChanges(tx, device.userId, rows)
  return rows.length > 0
}

/**
 * Deletes devices and everything that belongs to them, tokens first; unknown ids are ignored. `which`: a list, or all
 * except some.
 */
export async function deleteDevices(
  tx: Tx,
  userId: UserId,
  which: { only: readonly DeviceId[] } | { except: readonly DeviceId[] },
): Promise<DeviceId[]> {
  const matches =
    'only' in which ? sql`device_id = any(${which.only}::text[])` : sql`device_id <> all(${which.except}::text[])`
  const { rows } = await sql<ChangedDevice>`delete from devices where user_id = ${userId} and ${matches}
    returning device_id, ${HAS_KEYS}`.execute(tx.sql)
  noteChanges(tx, userId, rows)
  const deviceIds = rows.map(({ device_id }) => device_id)
  for (const deviceId of deviceIds) noteKeyCountChange(tx, { userId, deviceId })
  await deleteDeviceSettings(tx, userId, deviceIds)
  await forgetDeviceTransactions(tx, userId, deviceIds)
  await closeConnections(tx, userId, deviceIds)
  await endTypingOfDevices(tx, userId, deviceIds)
  await dropDevicePresence(tx, userId, deviceIds)
  return deviceIds
}

/** Account data of devices is deleted with them: https://github.com/matrix-org/matrix-spec-proposals/pull/3890 */
async function deleteDeviceSettings(tx: Tx, userId: UserId, deviceIds: readonly DeviceId[]): Promise<void> {
  const types = deviceIds.flatMap((deviceId) => DEVICE_SETTINGS.map((type) => `${type}.${deviceId}`))
  await deleteGlobalAccountData(tx, userId, types)
}

const DEVICE_SETTINGS = ['m.local_notification_settings', 'org.matrix.msc3890.local_notification_settings']

/**
 * Updates when and from which address a device was last seen, unless another process has done so after `unlessSince`.
 */
export async function updateLastSeen(
  tx: Tx,
  seen: DeviceKey & { ip: string; userAgent: string | undefined; now: number; unlessSince: number },
): Promise<void> {
  await sql`update devices set last_seen_ts = ${seen.now}::bigint, last_seen_ip = ${seen.ip},
      last_seen_user_agent = ${seen.userAgent ?? null}
    where user_id = ${seen.userId} and device_id = ${seen.deviceId}
      and (last_seen_ts is null or last_seen_ts <= ${seen.unlessSince}::bigint)`.execute(tx.sql)
}

type ChangedDevice = { device_id: DeviceId; has_keys: boolean }

/** Reads the state before the statement, so that it works for deleted devices. */
const HAS_KEYS = sql`exists (select 1 from device_keys
  where device_keys.user_id = devices.user_id and device_keys.device_id = devices.device_id) as has_keys`

/** Devices without identity keys are in no client's list, but other servers may store all devices. */
function noteChanges(tx: Tx, userId: UserId, devices: readonly ChangedDevice[]): void {
  for (const { device_id, has_keys } of devices) {
    noteDeviceListChange(tx, userId, `${has_keys ? 'device' : 'keyless'} ${device_id}`)
  }
}
