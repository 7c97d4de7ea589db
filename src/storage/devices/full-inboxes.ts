import { sql } from 'kysely'
import type { Tx } from '../engine/database.ts'
import type { DeviceKey } from '../schema/users.ts'
import { lockDevice } from './device-keys.ts'

/** The share of its limit to which a full inbox is reduced. */
const KEPT_SHARE = 0.75

/**
 * Reduces a full inbox: deletes all messages of the users with the most bytes, starting with users of the server with
 * the most bytes. Returns how many were deleted.
 */
export async function emptyFullInbox(tx: Tx, device: DeviceKey, limit: number): Promise<number> {
  await lockDevice(tx, device)
  const kept = Math.floor(limit * KEPT_SHARE)
  const { rows } = await sql<{ evicted: number }>`with senders as (
      select sender, substr(sender, strpos(sender, ':')) as server, sum(bytes) as bytes
      from to_device_messages where ${isIn(device)} group by sender
    ), ranked as (
      select sender, bytes, sum(bytes) over (partition by server) as of_server, server, sum(bytes) over () as all_bytes from senders
    ), evicted as (
      select sender from (
        select sender, all_bytes, sum(bytes) over (order by of_server desc, server, bytes desc, sender) - bytes as gone_before from ranked
      ) as summed where all_bytes - gone_before > ${kept}::bigint
    ), gone as (
      delete from to_device_messages where ${isIn(device)} and sender in (select sender from evicted) returning 1
    )
    select count(*)::int as evicted from gone`.execute(tx.sql)
  await sql`update to_device_messages set heaped = sums.heaped
    from (select message_nid, sum(bytes) over (order by message_nid) as heaped from to_device_messages
      where ${isIn(device)}) as sums
    where to_device_messages.message_nid = sums.message_nid`.execute(tx.sql)
  return rows[0]!.evicted
}

function isIn({ userId, deviceId }: DeviceKey) {
  return sql`user_id = ${userId} and device_id = ${deviceId}`
}
