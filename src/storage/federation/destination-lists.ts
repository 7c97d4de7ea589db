import { sql } from 'kysely'
import type { RoomId, ServerName } from '../../core/ids.ts'
import type { Db } from '../engine/database.ts'

/** How sending to a server goes; times in milliseconds since 1970. */
export type ListedDestination = {
  destination: ServerName
  /** The last failure, and how long the back-off after it is; 0 without one. */
  retry_last_ts: number
  retry_interval: number
  /** The first of the failures since the last success; null: it does not fail. */
  failure_ts: number | null
  /** The nid of the newest event that it has accepted. */
  last_successful_stream_ordering: number | null
}

export const DESTINATION_ORDERS = [
  ...['destination', 'retry_last_ts', 'retry_interval', 'failure_ts', 'last_successful_stream_ordering'],
] as const

export type DestinationPage = {
  order: (typeof DESTINATION_ORDERS)[number]
  isDescending: boolean
  from: number
  limit: number
}

const DESTINATIONS = sql`(select destination, failing_since as failure_ts,
    accepted_nid as last_successful_stream_ordering,
    case when retry_ts > 0 then coalesce(failed_ts, 0) else 0 end as retry_last_ts,
    case when retry_ts > 0 then greatest(retry_ts - failed_ts, 0) else 0 end as retry_interval
  from federation_destinations) as destinations`

/** Returns a page of the servers to which this one sends; `part`: of their names, in lower case; null: all. */
export async function listDestinations(
  db: Db,
  part: string | null,
  { order, isDescending, from, limit }: DestinationPage,
): Promise<ListedDestination[]> {
  const direction = isDescending ? sql`desc` : sql`asc`
  const { rows } = await sql<ListedDestination>`select * from ${DESTINATIONS}
    where ${part}::text is null or strpos(lower(destination), ${part}) > 0
    order by ${columnOf(order)} ${direction}, destination ${direction}
    limit ${limit}::int offset ${from}::bigint`.execute(db.sql)
  return rows
}

/** Returns how many servers such a list has. */
export async function countDestinations(db: Db, part: string | null): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from federation_destinations
    where ${part}::text is null or strpos(lower(destination), ${part}) > 0`.execute(db.sql)
  return rows[0]!.count
}

/** Returns one server of the list; undefined if nothing was ever sent to it. */
export async function findDestination(db: Db, destination: ServerName): Promise<ListedDestination | undefined> {
  const { rows } = await sql<ListedDestination>`select * from ${DESTINATIONS}
    where destination = ${destination}`.execute(db.sql)
  return rows[0]
}

/** Returns a page of the rooms that a server is in, with the nid of each room's newest event. */
export async function listRoomsOfServer(
  db: Db,
  server: ServerName,
  { isDescending, from, limit }: Pick<DestinationPage, 'isDescending' | 'from' | 'limit'>,
): Promise<{ room_id: RoomId; stream_ordering: number }[]> {
  const direction = isDescending ? sql`desc` : sql`asc`
  const { rows } = await sql<{ room_id: RoomId; stream_ordering: number }>`select room_id,
      coalesce((select event_nid from events join room_heads using (room_id)
        where events.room_id = page.room_id and event_order = next_order - 1), 0) as stream_ordering
    from (select room_id from room_servers where server_name = ${server} order by room_id ${direction}
      limit ${limit}::int offset ${from}::bigint) as page
    order by room_id ${direction}`.execute(db.sql)
  return rows
}

/** Returns how many rooms a server is in. */
export async function countRoomsOfServer(db: Db, server: ServerName): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from room_servers
    where server_name = ${server}`.execute(db.sql)
  return rows[0]!.count
}

function columnOf(order: DestinationPage['order']) {
  if (order === 'retry_last_ts') return sql`retry_last_ts`
  if (order === 'retry_interval') return sql`retry_interval`
  if (order === 'failure_ts') return sql`failure_ts`
  if (order === 'last_successful_stream_ordering') return sql`last_successful_stream_ordering`
  return sql`destination`
}
