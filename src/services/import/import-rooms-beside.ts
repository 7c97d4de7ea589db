import type { DeviceId, EventId, RoomId, UserId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { insertRows } from '../../storage/import/insert-rows.ts'
import { storeReceipts, UNKNOWN_ORDER } from '../../storage/rooms/receipts.ts'
import { storeThreadSubscription } from '../../storage/rooms/thread-subscriptions.ts'
import { findEventNids } from '../../storage/rooms/timeline/event-nids.ts'
import type { ReceiptRow, ReceiptType } from '../../storage/schema/ephemeral.ts'
import { type ImportStep, integerOf, rowStep, textOf } from './import-step.ts'

const aliases = rowStep<{ room_alias: string; room_id: RoomId; creator: UserId | null }>({
  name: 'room aliases',
  table: 'room_aliases',
  columns: 'room_alias, room_id, creator',
  from: 'room_aliases',
  key: ['room_alias'],
  store: (tx, rows) =>
    insertRows(
      tx,
      'room_aliases',
      rows.map(({ room_alias, room_id, creator }) => ({ room_alias, room_id, creator: creator ?? '' })),
    ),
})

type SynapseReceipt = {
  room_id: RoomId
  receipt_type: ReceiptType
  user_id: UserId
  thread_id: string | null
  event_id: EventId
  data: string
}

const receipts = rowStep<SynapseReceipt>({
  name: 'receipts',
  columns: 'room_id, receipt_type, user_id, thread_id, event_id, data',
  from: 'receipts_linearized',
  where: "receipt_type in ('m.read', 'm.read.private')",
  key: ['stream_id'],
  async store(tx, rows) {
    const events = await findEventNids(
      tx,
      rows.map(({ event_id }) => event_id),
    )
    const stored = rows.map(
      (row): ReceiptRow => ({
        room_id: row.room_id,
        user_id: row.user_id,
        receipt_type: row.receipt_type,
        thread_id: row.thread_id ?? '',
        event_id: row.event_id,
        event_order: events.get(row.event_id)?.event_order ?? UNKNOWN_ORDER,
        ts: integerOf((JSON.parse(row.data) as JsonObject).ts),
      }),
    )
    const keyOf = (row: ReceiptRow) => [row.room_id, row.user_id, row.receipt_type, row.thread_id].join('\0')
    await storeReceipts(tx, [...new Map(stored.map((row) => [keyOf(row), row])).values()])
    return rows.length
  },
})

const blocks = rowStep<{ room_id: RoomId; user_id: string }>({
  name: 'blocked rooms',
  table: 'room_blocks',
  columns: 'room_id, user_id',
  from: 'blocked_rooms',
  key: ['room_id'],
  store: (tx, rows, { now }) =>
    insertRows(
      tx,
      'room_blocks',
      rows.map(({ room_id, user_id }) => ({ room_id, blocked_by: user_id, blocked_ts: now })),
    ),
})

type ReportRow = {
  received_ts: number
  room_id: RoomId | null
  event_id: EventId | null
  target_user_id: UserId | null
  user_id: UserId
  reason: string | null
  content: string | null
}

const eventReports = rowStep<ReportRow>({
  name: 'reports of events',
  table: 'reports',
  columns: 'received_ts, room_id, event_id, null as target_user_id, user_id, reason, content',
  from: 'event_reports',
  key: ['id'],
  store: (tx, rows) => insertRows(tx, 'reports', rows.map(report)),
})

const roomReports = rowStep<ReportRow>({
  name: 'reports of rooms',
  table: 'reports',
  columns: 'received_ts, room_id, null as event_id, null as target_user_id, user_id, reason, null as content',
  from: 'room_reports',
  key: ['id'],
  store: (tx, rows) => insertRows(tx, 'reports', rows.map(report)),
})

const userReports = rowStep<ReportRow>({
  name: 'reports of users',
  table: 'reports',
  columns: 'received_ts, null as room_id, null as event_id, target_user_id, user_id, reason, null as content',
  from: 'user_reports',
  key: ['id'],
  store: (tx, rows) => insertRows(tx, 'reports', rows.map(report)),
})

function report(row: ReportRow) {
  const score = row.content === null ? null : (JSON.parse(row.content) as JsonObject).score
  return {
    received_ts: row.received_ts,
    reporter: row.user_id,
    room_id: row.room_id,
    event_id: row.event_id,
    reported_user: row.target_user_id,
    reason: row.reason,
    score: typeof score === 'number' ? score : null,
  }
}

const directory = rowStep<{ room_id: RoomId; appservice_id: string; network_id: string }>({
  name: 'rooms in directories of third-party networks',
  table: 'appservice_directory',
  columns: 'room_id, appservice_id, network_id',
  from: 'appservice_room_list',
  key: ['appservice_id', 'network_id', 'room_id'],
  store: (tx, rows) =>
    insertRows(
      tx,
      'appservice_directory',
      rows.map(({ room_id, appservice_id, network_id }) => ({ room_id, appservice_id, network_id })),
    ),
})

type SubscriptionRow = {
  user_id: UserId
  room_id: RoomId
  event_id: EventId
  subscribed: unknown
  automatic: unknown
}

const threadSubscriptions = rowStep<SubscriptionRow>({
  name: 'thread subscriptions',
  table: 'thread_subscriptions',
  columns: 'user_id, room_id, event_id, subscribed, automatic',
  from: 'thread_subscriptions join users on users.name = user_id',
  key: ['stream_id'],
  async store(tx, rows) {
    for (const { user_id, room_id, event_id, subscribed, automatic } of rows) {
      const place = { roomId: room_id, threadId: event_id }
      const values = { subscribed: Boolean(subscribed), automatic: Boolean(automatic) }
      await storeThreadSubscription(tx, user_id, { ...place, ...values })
    }
    return rows.length
  },
})

type DelayedRow = {
  delay_id: string
  user_localpart: string
  device_id: DeviceId | null
  delay: number
  send_ts: number
  room_id: RoomId
  event_type: string
  state_key: string | null
  content: string | Uint8Array
  sticky_duration_ms: number | null
}

/** Those that are overdue are sent when the server starts. */
const delayedEvents = rowStep<DelayedRow>({
  name: 'delayed events',
  columns: `delay_id, user_localpart, device_id, delay, send_ts, room_id, event_type, state_key, content,
    sticky_duration_ms`,
  from: 'delayed_events',
  where: 'is_processed is not true',
  key: ['user_localpart', 'delay_id'],
  async store(tx, rows, { main, serverName }) {
    const userOf = ({ user_localpart }: DelayedRow) => `@${user_localpart}:${serverName}` as UserId
    const users = await main.query<{ name: string }>('select name from users where name = any($1)', [rows.map(userOf)])
    const known = new Set(users.map(({ name }) => name))
    return insertRows(
      tx,
      'delayed_events',
      rows
        .filter((row) => known.has(userOf(row)))
        .map((row) => ({
          delay_id: row.delay_id,
          user_id: userOf(row),
          device_id: row.device_id ?? '',
          room_id: row.room_id,
          type: row.event_type,
          state_key: row.state_key,
          content: textOf(row.content),
          sticky_ms: row.sticky_duration_ms,
          delay_ms: row.delay,
          since_ts: row.send_ts - row.delay,
          ready_ts: row.send_ts,
          as_admin: false,
        })),
    )
  },
})

/** Data about rooms that is not in their events. */
export const ROOM_STEPS: readonly ImportStep[] = [
  ...[aliases, directory, receipts, blocks, eventReports, roomReports, userReports],
  ...[threadSubscriptions, delayedEvents],
]
