import { sql } from 'kysely'
import type { DeviceId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { DeviceKey } from '../schema/users.ts'

/** Makes a device the user's dehydrated device; `deviceData` is JSON. */
export async function storeDehydratedDevice(
  tx: Tx,
  { userId, deviceId }: DeviceKey,
  deviceData: string,
): Promise<void> {
  await sql`insert into dehydrated_devices (user_id, device_id, device_data) values (${userId}, ${deviceId}, ${deviceData})
    on conflict (user_id) do update set device_id = excluded.device_id, device_data = excluded.device_data`.execute(
    tx.sql,
  )
}

/** Returns a user's dehydrated device; undefined if there is none. */
export async function findDehydratedDevice(
  db: Db,
  userId: UserId,
): Promise<{ device_id: DeviceId; device_data: string } | undefined> {
  const { rows } = await sql<{ device_id: DeviceId; device_data: string }>`select device_id, device_data
    from dehydrated_devices where user_id = ${userId}`.execute(db.sql)
  return rows[0]
}
