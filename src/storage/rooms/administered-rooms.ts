import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../engine/database.ts'
import type { RoomRow } from '../schema/rooms.ts'

/** The orders of the list of all rooms. */
export const ROOM_ORDERS = [
  ...['name', 'alphabetical', 'canonical_alias', 'joined_members', 'size', 'joined_local_members', 'version'],
  ...['creator', 'encryption', 'federatable', 'public', 'join_rules', 'guest_access', 'history_visibility'],
  'state_events',
] as const

/** Which rooms a list has; null: any. */
export type AdministeredRoomFilter = {
  /** The room's ID or canonical alias, or a part of its name or its alias. */
  term: string | null
  isPublic: boolean | null
  /** Whether the room has no joined members. */
  isEmpty: boolean | null
}

export type AdministeredRoomPage = {
  order: (typeof ROOM_ORDERS)[number]
  /** Orders by counts and version begin with the highest, others with the lowest, unless reversed. */
  isReversed: boolean
  from: number
  limit: number
}

/** A page of rooms, and the number of all rooms that the filter matches. */
export type AdministeredRooms = { rooms: RoomRow[]; total: number }

/** Lists the rooms that this server has. */
export async function listAdministeredRooms(
  db: Db,
  filter: AdministeredRoomFilter,
  page: AdministeredRoomPage,
): Promise<AdministeredRooms> {
  if (filter.term !== null) return search(db, filter, page)
  const total = await count(db, filter)
  const { from, limit } = page
  const length = Math.max(0, Math.min(limit, total - from))
  if (length === 0) return { rooms: [], total }
  // A page far from the start is read from the end, because all rooms before it have to be sorted.
  const isFar = from > total / 2
  const wanted = isFar ? { isReversed: !page.isReversed, from: total - from - length } : {}
  const rooms = await loadPage(db, filter, { ...page, limit: length, ...wanted })
  return { rooms: isFar ? rooms.reverse() : rooms, total }
}

async function count(db: Db, filter: AdministeredRoomFilter): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from rooms where ${matches(filter)}`.execute(
    db.sql,
  )
  return rows[0]!.count
}

/**
 * Sorts without the rooms' other columns, so that the sort needs little memory. Then each room of the page is looked up
 * in turn, which `offset 0` forces.
 */
async function loadPage(db: Db, filter: AdministeredRoomFilter, page: AdministeredRoomPage): Promise<RoomRow[]> {
  const direction = directionOf(page)
  const { rows } = await sql<RoomRow>`select rooms.* from (
      select room_id, ${columnOf(page)} as place from rooms where ${matches(filter)}
      order by place ${direction}, room_id ${direction} limit ${page.limit}::int offset ${page.from}::bigint
    ) as page cross join lateral (select * from rooms where rooms.room_id = page.room_id offset 0) as rooms
    order by place ${direction}, page.room_id ${direction}`.execute(db.sql)
  return rows
}

/** Compares the names once, for the page and for the number. */
async function search(db: Db, filter: AdministeredRoomFilter, page: AdministeredRoomPage): Promise<AdministeredRooms> {
  const direction = directionOf(page)
  const { rows } = await sql<RoomRow & { total: number }>`with found as materialized (
      select room_id, ${columnOf(page)} as place from rooms where ${matches(filter)}
    )
    select total, rooms.* from (select count(*) as total from found) as counted
    left join (select * from found order by place ${direction}, room_id ${direction}
      limit ${page.limit}::int offset ${page.from}::bigint) as page on true
    left join lateral (select * from rooms where rooms.room_id = page.room_id offset 0) as rooms on true
    order by place ${direction}, page.room_id ${direction}`.execute(db.sql)
  return { rooms: rows.filter(({ room_id }) => room_id !== null), total: rows[0]!.total }
}

/** A name takes part in the order with its first characters. */
const MAX_NAME = 100

/** Orders that begin with the highest. */
const DESCENDING: readonly string[] = ['joined_members', 'size', 'joined_local_members', 'version', 'state_events']

function directionOf({ order, isReversed }: AdministeredRoomPage) {
  if (DESCENDING.includes(order) !== isReversed) return sql`desc`
  return sql`asc`
}

function columnOf({ order }: AdministeredRoomPage) {
  if (order === 'canonical_alias') return sql`canonical_alias collate "C"`
  if (order === 'joined_members' || order === 'size') return sql`joined_members`
  if (order === 'joined_local_members') return sql`joined_local_members`
  if (order === 'version') return sql`room_version collate "C"`
  if (order === 'creator') return sql`creator collate "C"`
  if (order === 'encryption') return sql`encryption collate "C"`
  if (order === 'federatable') return sql`federatable`
  if (order === 'public') return sql`in_directory`
  if (order === 'join_rules') return sql`join_rule collate "C"`
  if (order === 'guest_access') return sql`guest_access collate "C"`
  if (order === 'history_visibility') return sql`history_visibility collate "C"`
  if (order === 'state_events') return sql`(member_events + other_state_events)`
  return sql`left(name, ${MAX_NAME}::int) collate "C"`
}

function matches({ term, isPublic, isEmpty }: AdministeredRoomFilter) {
  const conditions = [
    sql`true`,
    ...(term === null ? [] : [hasTerm(term)]),
    ...(isPublic === null ? [] : [sql`in_directory = ${isPublic}::boolean`]),
    ...(isEmpty === null ? [] : [isEmpty ? sql`joined_members = 0` : sql`joined_members <> 0`]),
  ]
  return sql.join(conditions, sql` and `)
}

function hasTerm(term: string): RawBuilder<unknown> {
  const part = term.toLowerCase()
  return sql`(room_id = ${term} or canonical_alias = ${term} or strpos(lower(name), ${part}) > 0
    or strpos(lower(split_part(canonical_alias, ':', 1)), ${part}) > 0)`
}
