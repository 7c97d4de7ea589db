import { sql } from 'kysely'
import type { DeviceId, RoomId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { sharedLookUp } from '../engine/shared-loads.ts'
import type { KnownRoom, SlidingConnectionRow } from '../schema/sliding-sync.ts'

/** The key of a sliding sync connection: its client chooses `connId`. */
export type ConnectionKey = { userId: UserId; deviceId: DeviceId | null; connId: string }

/** The state of a connection except rooms. */
export type ConnectionState = Pick<SlidingConnectionRow, 'connection_nid' | 'answer' | 'configs' | 'shape' | 'used_ts'>

/** The maximum connections of one device; beyond it, the least recently used one is closed. */
const MAX_CONNECTIONS = 16
const EXPIRY_MS = 30 * 24 * 60 * 60 * 1000
/** The last use is written at most this often: it is in an index, which each response would have to change. */
const USED_MS = 60_000

/** Opens a connection, which closes an earlier one of that name, and a few of the expired ones of any user. */
export async function openConnection(
  tx: Tx,
  { userId, deviceId, connId }: ConnectionKey,
  now: number,
): Promise<number> {
  const device = deviceId ?? ''
  await sql`delete from sliding_connections where user_id = ${userId} and device_id = ${device} and (conn_id = ${connId}
    or connection_nid in (select connection_nid from sliding_connections where user_id = ${userId} and device_id = ${device}
      and conn_id <> ${connId} order by used_ts desc offset ${MAX_CONNECTIONS - 1}::int))`.execute(tx.sql)
  await sql`delete from sliding_connections where connection_nid in (select connection_nid from sliding_connections
    where used_ts < ${now - EXPIRY_MS}::bigint order by used_ts limit 4 for update skip locked)`.execute(tx.sql)
  const { rows } = await sql<{
    connection_nid: number
  }>`insert into sliding_connections (user_id, device_id, conn_id, used_ts)
    values (${userId}, ${device}, ${connId}, ${now}::bigint)
    on conflict (user_id, device_id, conn_id) do update set used_ts = excluded.used_ts returning connection_nid`.execute(
    tx.sql,
  )
  return rows[0]!.connection_nid
}

/** Finds a connection by name; undefined if there is none. One query for all requests that arrive together. */
export const findConnection = sharedLookUp<ConnectionKey, ConnectionState>(
  async (db, keys) => {
    const { rows } = await sql<
      ConnectionState & { place: number }
    >`select place, connection_nid, answer, configs, shape, used_ts
      from unnest(${keys.map(({ userId }) => userId)}::text[], ${keys.map(({ deviceId }) => deviceId ?? '')}::text[],
        ${keys.map(({ connId }) => connId)}::text[]) with ordinality as wanted(user_id, device_id, conn_id, place)
      join sliding_connections using (user_id, device_id, conn_id)`.execute(db.sql)
    return new Map(rows.map(({ place, ...connection }) => [keys[place - 1]!, connection]))
  },
  { most: 100, of: 'arrivals', retriesAlone: true },
)

/** Records that a connection is in use. */
export async function touchConnection(tx: Tx, connection: number, now: number): Promise<void> {
  await sql`update sliding_connections set used_ts = ${now}::bigint where connection_nid = ${connection}::bigint`.execute(
    tx.sql,
  )
}

/**
 * Returns to an earlier answer, because the client did not receive the next one. False if the answer is neither of the
 * two that are stored.
 */
export async function returnToAnswer(tx: Tx, connection: number, answer: number): Promise<boolean> {
  const { rows } = await sql<SlidingConnectionRow>`select * from sliding_connections
    where connection_nid = ${connection}::bigint for update`.execute(tx.sql)
  const row = rows[0]
  if (!row || (row.answer !== answer && row.base_answer !== answer)) return false
  if (row.answer === answer) return true
  await sql`update sliding_connections set answer = ${answer}::bigint where connection_nid = ${connection}::bigint`.execute(
    tx.sql,
  )
  await sql`update sliding_rooms set answer = ${answer}::bigint, membership = old_membership, state_root = old_state_root,
      event_order = old_event_order, events = old_events, config = old_config, flags = old_flags, members = old_members
    where connection_nid = ${connection}::bigint and answer > ${answer}::bigint`.execute(tx.sql)
  return true
}

/** The changes that an answer sends to a connection with the answer `base`. */
export type SentAnswer = {
  connection: number
  base: number
  rooms: ReadonlyMap<RoomId, KnownRoom>
  configs: string
  shape: string
  now: number
}

/**
 * Stores answers, at most one for each connection. Returns their numbers by connection; connections that have advanced
 * or been closed in the meantime are omitted.
 */
export async function storeAnswers(tx: Tx, answers: readonly SentAnswer[]): Promise<Map<number, number>> {
  const sent = answers.flatMap(({ connection, rooms }) =>
    [...rooms].map(([roomId, known]) => ({ connection, roomId, known })),
  )
  const known = sent.map((room) => room.known)
  const { rows } = await sql<{ connection_nid: number; issued: number }>`with answered as (
      update sliding_connections set issued = issued + 1, answer = issued + 1, base_answer = given.base, configs = given.configs,
        shape = given.shape, used_ts = case when used_ts < given.now - ${USED_MS}::bigint then given.now else used_ts end
      from unnest(${answers.map((answer) => answer.connection)}::bigint[], ${answers.map((answer) => answer.base)}::bigint[],
          ${answers.map((answer) => answer.configs)}::text[], ${answers.map((answer) => answer.shape)}::text[],
          ${answers.map((answer) => answer.now)}::bigint[]) as given(connection_nid, base, configs, shape, now)
      where sliding_connections.connection_nid = given.connection_nid and sliding_connections.answer = given.base
      returning sliding_connections.connection_nid, issued
    ), stored as (
      insert into sliding_rooms (connection_nid, room_id, answer, membership, state_root, event_order, events, config, flags, members)
      select connection_nid, room_id, issued, membership, state_root, event_order, events, config, flags, members::bigint[]
      from unnest(${sent.map((room) => room.connection)}::bigint[], ${sent.map((room) => room.roomId)}::text[],
          ${known.map((room) => room.membership)}::text[], ${known.map((room) => room.state_root)}::bigint[],
          ${known.map((room) => room.event_order)}::bigint[], ${known.map((room) => room.events)}::int[],
          ${known.map((room) => room.config)}::int[], ${known.map((room) => room.flags)}::int[],
          ${known.map((room) => `{${room.members.join()}}`)}::text[])
        as sent(connection_nid, room_id, membership, state_root, event_order, events, config, flags, members)
      join answered using (connection_nid)
      on conflict (connection_nid, room_id) do update set answer = excluded.answer, membership = excluded.membership,
        state_root = excluded.state_root, event_order = excluded.event_order, events = excluded.events, config = excluded.config,
        flags = excluded.flags, members = excluded.members, old_membership = sliding_rooms.membership, old_state_root = sliding_rooms.state_root,
        old_event_order = sliding_rooms.event_order, old_events = sliding_rooms.events, old_config = sliding_rooms.config,
        old_flags = sliding_rooms.flags, old_members = sliding_rooms.members
    )
    select connection_nid, issued from answered`.execute(tx.sql)
  return new Map(rows.map(({ connection_nid, issued }) => [connection_nid, issued]))
}

/** Returns the state of some rooms that a connection has received; rooms that it has not are omitted. */
export async function loadKnownRooms(
  db: Db,
  connection: number,
  roomIds: readonly RoomId[],
): Promise<Map<RoomId, KnownRoom>> {
  if (roomIds.length === 0) return new Map()
  const { rows } = await sql<KnownRoom & { room_id: RoomId }>`select room_id, ${KNOWN_COLUMNS} from sliding_rooms
    where connection_nid = ${connection}::bigint and room_id = any(${roomIds}::text[]) and membership <> ''`.execute(
    db.sql,
  )
  return new Map(rows.map(({ room_id, ...known }) => [room_id, known]))
}

/** Returns the rooms with any of the `flags`, except those in `except`. */
export async function loadFlaggedRooms(
  db: Db,
  connection: number,
  { flags, except }: { flags: number; except: readonly RoomId[] },
): Promise<Map<RoomId, KnownRoom>> {
  const { rows } = await sql<KnownRoom & { room_id: RoomId }>`select room_id, ${KNOWN_COLUMNS} from sliding_rooms
    where connection_nid = ${connection}::bigint and flags & ${flags}::int <> 0 and membership <> ''
      and not room_id = any(${except}::text[])`.execute(db.sql)
  return new Map(rows.map(({ room_id, ...known }) => [room_id, known]))
}

const KNOWN_COLUMNS = sql`membership, state_root, event_order, events, config, flags, members`

/** Closes the connections of deleted devices. */
export async function closeConnections(tx: Tx, userId: UserId, deviceIds: readonly DeviceId[]): Promise<void> {
  await sql`delete from sliding_connections where user_id = ${userId} and device_id = any(${deviceIds}::text[])`.execute(
    tx.sql,
  )
}
