import { sql } from 'kysely'
import type { DeviceId, UserId } from '../core/ids.ts'
import type { Db, Tx } from './database.ts'
import type { DeviceKey } from './devices.ts'
import { appendToStream } from './stream-append.ts'

/** A message for a device; `deviceId` '*': for each device that the user has. `content` is JSON. */
export type NewToDeviceMessage = {
  userId: UserId
  deviceId: string
  sender: UserId
  type: string
  content: string
}

/** A message as it waits; `position` is its place in the stream. `content` is JSON. */
export type ToDeviceMessage = { position: number; sender: UserId; type: string; content: string }

type StoredMessage = { message_nid: number; user_id: UserId; device_id: DeviceId }

/** Puts messages into their devices' inboxes, in this order; messages for devices that do not exist are dropped. */
export async function storeToDeviceMessages(tx: Tx, messages: readonly NewToDeviceMessage[]): Promise<void> {
  const column = (pick: (message: NewToDeviceMessage) => string): string[] => messages.map(pick)
  const { rows } = await sql<StoredMessage>`with deliveries as (
      select devices.user_id, devices.device_id, message.sender, message.type, message.content
      from unnest(${column((message) => message.userId)}::text[], ${column((message) => message.deviceId)}::text[],
          ${column((message) => message.sender)}::text[], ${column((message) => message.type)}::text[],
          ${column((message) => message.content)}::text[]) with ordinality
        as message(user_id, device_id, sender, type, content, place)
      join devices on devices.user_id = message.user_id and (message.device_id in ('*', devices.device_id))
      order by place for key share of devices
    )
    insert into to_device_messages (user_id, device_id, sender, type, content) select * from deliveries
    returning message_nid, user_id, device_id`.execute(tx.sql)
  for (const { message_nid, user_id, device_id } of rows) {
    appendToStream(tx, { kind: 'to_device', user_id, ref: message_nid, detail: device_id })
  }
}

/** The messages that wait for a device after position `from` and up to `to`, oldest first. */
export async function loadToDeviceMessages(
  db: Db,
  { userId, deviceId }: DeviceKey,
  { from, to, limit }: { from: number; to: number; limit: number },
): Promise<ToDeviceMessage[]> {
  const { rows } = await sql<ToDeviceMessage>`select stream_position as position, sender, type, content
    from to_device_messages join stream on kind = 'to_device' and ref = message_nid
    where to_device_messages.user_id = ${userId} and to_device_messages.device_id = ${deviceId}
      and stream_position > ${from}::bigint and stream_position <= ${to}::bigint
    order by stream_position limit ${limit}::int`.execute(db.sql)
  return rows
}

/** Messages that still wait, by number and in this order, with their devices. */
export async function loadMessagesByNid(
  db: Db,
  nids: readonly number[],
): Promise<(NewToDeviceMessage & { message_nid: number })[]> {
  if (nids.length === 0) return []
  const { rows } = await sql<NewToDeviceMessage & { message_nid: number }>`select message_nid, user_id as "userId",
      device_id as "deviceId", sender, type, content
    from to_device_messages where message_nid = any(${nids}::bigint[])
    order by array_position(${nids}::bigint[], message_nid)`.execute(db.sql)
  return rows
}

/** Drops the messages up to a position: the device has them. */
export async function deleteToDeviceMessages(tx: Tx, { userId, deviceId }: DeviceKey, upTo: number): Promise<void> {
  await sql`delete from to_device_messages using stream
    where kind = 'to_device' and ref = message_nid and stream_position <= ${upTo}::bigint
      and to_device_messages.user_id = ${userId} and to_device_messages.device_id = ${deviceId}`.execute(tx.sql)
}

/** Marks a device's transaction as carried out; false when it was already. */
export async function claimToDeviceTransaction(
  tx: Tx,
  transaction: { userId: UserId; deviceId: DeviceId | null; type: string; txnId: string; now: number },
): Promise<boolean> {
  const { userId, deviceId, type, txnId, now } = transaction
  const result = await sql`insert into to_device_transactions (user_id, device_id, type, txn_id, created_ts)
    values (${userId}, ${deviceId ?? ''}, ${type}, ${txnId}, ${now}::bigint) on conflict do nothing`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/** Forgets the transactions of devices that go: another device may get the same id. */
export async function forgetDeviceTransactions(tx: Tx, userId: UserId, deviceIds: readonly DeviceId[]): Promise<void> {
  await sql`delete from to_device_transactions
    where user_id = ${userId} and device_id = any(${deviceIds}::text[])`.execute(tx.sql)
}

/** Forgets transactions from before `before` (milliseconds since 1970), of all devices. */
export async function deleteToDeviceTransactions(tx: Tx, before: number): Promise<void> {
  await sql`delete from to_device_transactions where created_ts < ${before}::bigint`.execute(tx.sql)
}
