import { sql } from 'kysely'
import type { DeviceId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { appendToStream } from '../engine/stream-append.ts'
import type { DeviceKey } from '../schema/users.ts'
import { emptyFullInbox } from './full-inboxes.ts'

/** A message for a device; `deviceId` '*': for all devices of the user. `content` is JSON. */
export type NewToDeviceMessage = {
  userId: UserId
  deviceId: string
  sender: UserId
  type: string
  content: string
}

/** A stored message; `position` is its place in the stream. `content` is JSON. */
export type ToDeviceMessage = { position: number; sender: UserId; type: string; content: string }

/** The constant that each message counts in addition to its text. */
const MESSAGE_BYTES = 200

/** A full inbox, and how many of its messages were dropped. */
export type FullInbox = { user_id: UserId; device_id: DeviceId; dropped: number }

type Placed = { user_id: UserId; device_id: DeviceId } & (
  | { message_nid: number; place: null }
  | { message_nid: null; place: number }
)

/**
 * Stores messages in their devices' inboxes, in this order; messages for unknown devices are dropped. `limit`: bytes of
 * an inbox. Returns the inboxes that were full.
 */
export async function storeToDeviceMessages(
  tx: Tx,
  messages: readonly NewToDeviceMessage[],
  limit: number,
): Promise<FullInbox[]> {
  const refused = await storeWithin(tx, messages, limit)
  if (refused.length === 0) return []
  const byInbox = Map.groupBy(refused, ({ userId, deviceId }) => `${userId} ${deviceId}`)
  const full: FullInbox[] = []
  // Sorted, so that two transactions cannot deadlock.
  for (const inbox of [...byInbox.keys()].sort()) {
    const waiting = byInbox.get(inbox)!
    const { userId, deviceId } = waiting[0]!
    const device = { userId, deviceId: deviceId as DeviceId }
    const emptied = await emptyFullInbox(tx, device, limit)
    const lost = await storeWithin(tx, waiting, limit)
    if (emptied + lost.length > 0)
      full.push({ user_id: userId, device_id: device.deviceId, dropped: emptied + lost.length })
  }
  return full
}

/** Stores the messages that fit, and returns the others, each with its device. */
async function storeWithin(
  tx: Tx,
  messages: readonly NewToDeviceMessage[],
  limit: number,
): Promise<NewToDeviceMessage[]> {
  const column = (pick: (message: NewToDeviceMessage) => string): string[] => messages.map(pick)
  const { rows } = await sql<Placed>`with deliveries as (
      select devices.user_id, devices.device_id, message.sender, message.type, message.content, message.place,
        octet_length(message.content) + octet_length(message.type) + octet_length(message.sender) + ${MESSAGE_BYTES}::int as bytes
      from unnest(${column((message) => message.userId)}::text[], ${column((message) => message.deviceId)}::text[],
          ${column((message) => message.sender)}::text[], ${column((message) => message.type)}::text[],
          ${column((message) => message.content)}::text[]) with ordinality
        as message(user_id, device_id, sender, type, content, place)
      join devices on devices.user_id = message.user_id and (message.device_id in ('*', devices.device_id))
      order by place for key share of devices
    ), placed as (
      select deliveries.*, coalesce(inbox.begin, 0) as begin, (coalesce(inbox.end, 0)
        + sum(deliveries.bytes) over (partition by deliveries.user_id, deliveries.device_id order by place))::bigint as heaped
      from deliveries cross join lateral (select
        (select heaped - bytes from to_device_messages as first where first.user_id = deliveries.user_id
          and first.device_id = deliveries.device_id order by message_nid limit 1) as begin,
        (select heaped from to_device_messages as last where last.user_id = deliveries.user_id
          and last.device_id = deliveries.device_id order by message_nid desc limit 1) as end) as inbox
    ), stored as (
      insert into to_device_messages (user_id, device_id, sender, type, content, bytes, heaped)
      select user_id, device_id, sender, type, content, bytes, heaped from placed
      where heaped - begin <= ${limit}::bigint order by place
      returning message_nid, user_id, device_id
    )
    select user_id, device_id, message_nid, null::bigint as place from stored
    union all select user_id, device_id, null, place from placed where heaped - begin > ${limit}::bigint`.execute(
    tx.sql,
  )
  for (const { message_nid, user_id, device_id } of rows) {
    if (message_nid !== null) appendToStream(tx, { kind: 'to_device', user_id, ref: message_nid, detail: device_id })
  }
  return rows.flatMap(({ place, device_id }) =>
    place === null ? [] : { ...messages[place - 1]!, deviceId: device_id },
  )
}

/**
 * Returns a device's messages after position `from` up to `to`, oldest first: at most `limit`, and at most `bytes`, but
 * at least one. `hasMore`: whether more follow.
 */
export async function loadToDeviceMessages(
  db: Db,
  { userId, deviceId }: DeviceKey,
  { from, to, limit, bytes }: { from: number; to: number; limit: number; bytes: number },
): Promise<{ messages: ToDeviceMessage[]; hasMore: boolean }> {
  const { rows } = await sql<ToDeviceMessage & { found: number }>`select position, sender, type, content, found from (
      select *, count(*) over ()::int as found, sum(bytes) over (order by position) - bytes as bytes_before from (
        select stream_position as position, sender, type, content, bytes
        from to_device_messages join stream on kind = 'to_device' and ref = message_nid
        where to_device_messages.user_id = ${userId} and to_device_messages.device_id = ${deviceId}
          and stream_position > ${from}::bigint and stream_position <= ${to}::bigint
        order by stream_position limit ${limit + 1}::int
      ) as first_ones
    ) as sized where bytes_before < ${bytes}::bigint order by position limit ${limit}::int`.execute(db.sql)
  const messages = rows.map(({ found: _found, ...message }) => message)
  return { messages, hasMore: (rows[0]?.found ?? 0) > messages.length }
}

/** Returns the counted bytes of stored messages, by number. */
export async function loadMessageBytes(db: Db, nids: readonly number[]): Promise<Map<number, number>> {
  if (nids.length === 0) return new Map()
  const { rows } = await sql<{ message_nid: number; bytes: number }>`select message_nid, bytes from to_device_messages
    where message_nid = any(${nids}::bigint[])`.execute(db.sql)
  return new Map(rows.map(({ message_nid, bytes }) => [message_nid, bytes]))
}

/** Returns stored messages by number, in this order, with their devices. */
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

/** Deletes the messages up to a position: the device has received them. */
export async function deleteToDeviceMessages(tx: Tx, { userId, deviceId }: DeviceKey, upTo: number): Promise<void> {
  await sql`delete from to_device_messages using stream
    where kind = 'to_device' and ref = message_nid and stream_position <= ${upTo}::bigint
      and to_device_messages.user_id = ${userId} and to_device_messages.device_id = ${deviceId}`.execute(tx.sql)
}

/** Marks a device's transaction as performed; false if it was already. */
export async function claimToDeviceTransaction(
  tx: Tx,
  transaction: { userId: UserId; deviceId: DeviceId | null; type: string; txnId: string; now: number },
): Promise<boolean> {
  const { userId, deviceId, type, txnId, now } = transaction
  const result = await sql`insert into to_device_transactions (user_id, device_id, type, txn_id, created_ts)
    values (${userId}, ${deviceId ?? ''}, ${type}, ${txnId}, ${now}::bigint) on conflict do nothing`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/** Deletes the transactions of deleted devices: another device may get the same id. */
export async function forgetDeviceTransactions(tx: Tx, userId: UserId, deviceIds: readonly DeviceId[]): Promise<void> {
  await sql`delete from to_device_transactions
    where user_id = ${userId} and device_id = any(${deviceIds}::text[])`.execute(tx.sql)
}

/** Deletes transactions of all devices from before `before` (milliseconds since 1970). */
export async function deleteToDeviceTransactions(tx: Tx, before: number): Promise<void> {
  await sql`delete from to_device_transactions where created_ts < ${before}::bigint`.execute(tx.sql)
}
