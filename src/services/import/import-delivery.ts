import { type DeviceId, domainOf, type RoomId, type ServerName, type UserId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { noteDeviceListChange } from '../../storage/devices/device-lists.ts'
import { storeToDeviceMessages } from '../../storage/devices/to-device.ts'
import { appendToStream } from '../../storage/engine/stream-append.ts'
import { queueEdus } from '../../storage/federation/federation-outbox.ts'
import { insertRows } from '../../storage/import/insert-rows.ts'
import { type ImportStep, rowStep } from './import-step.ts'

type InboxRow = { user_id: UserId; device_id: DeviceId; message_json: string }

/** Messages that devices have not received: each may be the only copy of a key. */
const toDeviceMessages = rowStep<InboxRow>({
  name: 'messages to devices',
  columns: 'inbox.user_id, inbox.device_id, message_json',
  from: `device_inbox as inbox join devices on devices.user_id = inbox.user_id
    and devices.device_id = inbox.device_id and devices.hidden is not true`,
  key: ['stream_id', 'inbox.user_id', 'inbox.device_id'],
  size: 500,
  async store(tx, rows) {
    const messages = rows.map(({ user_id, device_id, message_json }) => {
      const { sender, type, content } = JSON.parse(message_json) as JsonObject
      return {
        userId: user_id,
        deviceId: device_id,
        sender: sender as UserId,
        type: String(type),
        content: JSON.stringify(content),
      }
    })
    await storeToDeviceMessages(tx, messages, Number.MAX_SAFE_INTEGER)
    return rows.length
  },
})

type OutboxRow = { destination: ServerName; messages_json: string }

const remoteMessages = rowStep<OutboxRow>({
  name: 'messages to devices of other servers',
  columns: 'destination, messages_json',
  from: 'device_federation_outbox',
  key: ['stream_id', 'destination'],
  size: 200,
  async store(tx, rows) {
    await insertRows(tx, 'federation_destinations', destinationsOf(rows))
    const edus = rows.map(({ destination, messages_json }) => {
      const content = JSON.parse(messages_json) as JsonObject
      return { destination, type: 'm.direct_to_device', content, sender: content.sender as UserId }
    })
    await queueEdus(tx, edus)
    return rows.length
  },
})

function destinationsOf(rows: readonly { destination: ServerName }[]) {
  return [...new Set(rows.map(({ destination }) => destination))].map((destination) => ({ destination, wake_ts: 0 }))
}

/** A room of which another server has not received the last events, also if it is down: it gets the newest ones. */
const catchUp = rowStep<{ destination: ServerName; room_id: RoomId }>({
  name: 'rooms that other servers have missed events of',
  table: 'federation_room_notes',
  columns: 'missed.destination, missed.room_id',
  from: `destination_rooms as missed join destinations on destinations.destination = missed.destination`,
  where: 'missed.stream_ordering > coalesce(last_successful_stream_ordering, 0)',
  key: ['missed.destination', 'missed.room_id'],
  async store(tx, rows) {
    await insertRows(
      tx,
      'federation_destinations',
      destinationsOf(rows).map((row) => ({ ...row, needs_catch_up: true })),
    )
    return insertRows(
      tx,
      'federation_room_notes',
      rows.map(({ destination, room_id }) => ({ destination, room_id })),
    )
  },
})

const remoteDeviceLists = rowStep<{ user_id: UserId; stream_id: string | null; is_stale: unknown }>({
  name: 'device lists of other servers',
  columns: `lists.user_id, lists.stream_id, resync.user_id is not null as is_stale`,
  from: `device_lists_remote_extremeties as lists
    left join device_lists_remote_resync as resync on resync.user_id = lists.user_id`,
  key: ['lists.user_id'],
  store: (tx, rows) =>
    insertRows(
      tx,
      'remote_device_lists',
      rows.flatMap(({ user_id, stream_id, is_stale }) => {
        const server_name = domainOf(user_id)
        if (server_name === undefined) return []
        // The other server's text, which is fetched again if it is no number.
        const known = stream_id !== null && Number.isSafeInteger(Number(stream_id)) ? Number(stream_id) : null
        return { user_id, server_name, stream_id: known, is_stale: Boolean(is_stale) || known === null }
      }),
    ),
})

const remoteDevices = rowStep<{ user_id: UserId; device_id: DeviceId; content: string }>({
  name: 'devices of other servers',
  columns: 'cache.user_id, cache.device_id, content',
  from: `device_lists_remote_cache as cache
    join device_lists_remote_extremeties as lists on lists.user_id = cache.user_id`,
  key: ['cache.user_id', 'cache.device_id'],
  store: (tx, rows) =>
    insertRows(
      tx,
      'remote_device_keys',
      rows.flatMap(({ user_id, device_id, content }) => {
        const { keys, device_display_name: name } = JSON.parse(content) as JsonObject
        if (typeof keys !== 'object' || keys === null) return []
        const display_name = typeof name === 'string' ? name : null
        return { user_id, device_id, key_json: JSON.stringify(keys), display_name }
      }),
    ),
})

/** The last change of each user's devices that other servers may have received. */
const deviceListStreams = rowStep<{ user_id: UserId; stream_id: number }>({
  name: 'positions of device lists',
  table: 'device_list_streams',
  columns: 'changes.user_id, changes.stream_id',
  from: '(select user_id, max(stream_id) as stream_id from device_lists_outbound_last_success group by user_id) as changes',
  key: ['changes.user_id'],
  store: (tx, rows) =>
    insertRows(
      tx,
      'device_list_streams',
      rows.map(({ user_id, stream_id }) => ({ user_id, stream_id })),
    ),
})

/**
 * Clients that last asked Synapse may have missed changes of device lists and account data: all of them count as
 * changed, also for other servers.
 */
const deviceListChanges = rowStep<{ user_id: UserId; device_id: DeviceId }>({
  name: 'announced device lists',
  columns: 'keys.user_id, keys.device_id',
  from: '(select user_id, min(device_id) as device_id from e2e_device_keys_json group by user_id) as keys',
  key: ['keys.user_id'],
  async store(tx, rows) {
    for (const { user_id, device_id } of rows) {
      noteDeviceListChange(tx, user_id, `device ${device_id}`)
      noteDeviceListChange(tx, user_id, 'cross_signing')
    }
    return rows.length
  },
})

const accountDataChanges = rowStep<{ user_id: UserId; type: string; room_id: RoomId | null }>({
  name: 'announced account data',
  columns: 'user_id, room_id, account_data_type as type',
  from: `(select user_id, '' as room_id, account_data_type from account_data
    union select user_id, room_id, account_data_type from room_account_data
    union select user_id, room_id, 'm.tag' from room_tags) as changed join users on users.name = user_id`,
  where: "account_data_type <> 'm.push_rules'",
  key: ['user_id', 'room_id', 'account_data_type'],
  async store(tx, rows) {
    for (const { user_id, room_id, type } of rows)
      appendToStream(tx, { kind: 'account_data', user_id, detail: type, ...(room_id && { room_id }) })
    return rows.length
  },
})

type AppserviceRow = { as_id: string; position: number | null }

/** An application service continues at Synapse's place, or at its first undelivered transaction. */
const appservices = rowStep<AppserviceRow>({
  name: 'application services',
  table: 'appservices',
  columns: `states.as_id, (select stream_ordering from appservice_stream_position) as position`,
  from: 'application_services_state as states',
  key: ['states.as_id'],
  async store(tx, rows, { main, extent }) {
    const pending = await main.query<{ as_id: string; event_ids: string }>(
      'select as_id, event_ids from application_services_txns where as_id = any($1)',
      [rows.map(({ as_id }) => as_id)],
    )
    const ids = pending.flatMap(({ event_ids }) => JSON.parse(event_ids) as string[])
    const events = await main.query<{ event_id: string; stream_ordering: number }>(
      'select event_id, stream_ordering from events where event_id = any($1)',
      [ids],
    )
    const orderingOf = new Map(events.map((event) => [event.event_id, event.stream_ordering]))
    return insertRows(
      tx,
      'appservices',
      rows.map(({ as_id, position }) => {
        const own = pending.filter((txn) => txn.as_id === as_id).flatMap(({ event_ids }) => JSON.parse(event_ids))
        const undelivered = own.flatMap((id: string) => orderingOf.get(id) ?? []).filter((ordering) => ordering > 0)
        return {
          appservice_id: as_id,
          stream_position: Math.min(position ?? extent.lastOrdering, ...undelivered.map((ordering) => ordering - 1)),
          // Differs from any namespace, so that the members are computed at the start.
          users: '',
        }
      }),
    )
  },
})

/** Imports data that still has to reach devices, other servers and application services. */
export const DELIVERY_STEPS: readonly ImportStep[] = [
  ...[toDeviceMessages, remoteMessages, catchUp, remoteDeviceLists, remoteDevices, deviceListStreams],
  ...[deviceListChanges, accountDataChanges, appservices],
]
