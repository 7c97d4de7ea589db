import { type RawBuilder, sql } from 'kysely'
import type { RoomId } from '../../core/ids.ts'
import type { Network } from '../appservices/appservice-directory.ts'
import type { Db } from '../engine/database.ts'
import { storableText } from '../engine/storable-text.ts'
import type { RoomRow } from '../schema/rooms.ts'

/** A place in the directory: between the rooms before and after this one. */
export type DirectoryPlace = { joinedMembers: number; roomId: RoomId }

export type DirectoryQuery = {
  /** A part of name, topic or canonical alias, case-insensitive. */
  searchTerm?: string | undefined
  /** Room types; null: rooms without one. Absent: all. */
  roomTypes?: readonly (string | null)[] | undefined
  /** The third-party network whose listing to read; `all`: every listing. Absent: this server's own directory. */
  network?: Network | 'all' | undefined
  /** Exclusive. */
  from?: DirectoryPlace | undefined
  direction: 'forwards' | 'backwards'
  limit: number
}

/** Rooms that the directory shows: with at least one member, and public, knockable or world-readable. */
const FINDABLE = sql`joined_members > 0
  and (join_rule in ('public', 'knock', 'restricted', 'knock_restricted') or history_visibility = 'world_readable')`

/** Returns a page of the directory, most members first; `backwards`: the page that ends before `from`. */
export async function loadPublicRooms(db: Db, query: DirectoryQuery): Promise<RoomRow[]> {
  const forwards = query.direction === 'forwards'
  const order = forwards ? sql`joined_members desc, room_id` : sql`joined_members, room_id desc`
  const { rows } =
    await sql<RoomRow>`select * from ${listed(query.network)} where ${FINDABLE} and ${matching(query)} and ${beyond(query)}
    order by ${order} limit ${query.limit}::int`.execute(db.sql)
  return forwards ? rows : rows.reverse()
}

/** Counts the rooms in a directory. */
export async function countPublicRooms(db: Db, network?: Network | 'all'): Promise<number> {
  const { rows } = await sql<{
    count: number
  }>`select count(*)::int as count from ${listed(network)} where ${FINDABLE}`.execute(db.sql)
  return rows[0]!.count
}

/** Starts with the listings and looks up their rooms: never scans all known rooms, whatever the planner estimates. */
function listed(network: Network | 'all' | undefined) {
  if (network === undefined) return sql`(select * from rooms where in_directory) listed`
  if (network === 'all')
    return sql`(select * from rooms where in_directory union all
      ${roomsOf(sql`true`)} where not in_directory) listed`
  return sql`(${roomsOf(sql`appservice_id = ${storableText(network.appserviceId)} and network_id = ${storableText(network.networkId)}`)}) listed`
}

/** `offset 0` prevents the planner from reading the rooms first. */
function roomsOf(networks: RawBuilder<unknown>) {
  return sql`select room.* from (select distinct room_id from appservice_directory where ${networks}) named
    cross join lateral (select * from rooms where room_id = named.room_id offset 0) room`
}

function beyond({ from, direction }: DirectoryQuery) {
  if (!from) return sql`true`
  const { joinedMembers, roomId } = from
  return direction === 'forwards'
    ? sql`(joined_members < ${joinedMembers}::int or (joined_members = ${joinedMembers}::int and room_id > ${roomId}))`
    : sql`(joined_members > ${joinedMembers}::int or (joined_members = ${joinedMembers}::int and room_id < ${roomId}))`
}

/** The cost of the comparison is proportional to the product of the lengths of term and text. */
const MAX_TERM = 255
const MAX_NAME = 255
const MAX_TOPIC = 2000

function contains(term: string) {
  const text = sql`concat_ws(E'\\n', left(name, ${MAX_NAME}::int), left(topic, ${MAX_TOPIC}::int), canonical_alias)`
  return sql`${text} ilike ${`%${term.replace(/[\\%_]/g, '\\$&')}%`}`
}

function matching({ searchTerm, roomTypes }: DirectoryQuery) {
  const found = searchTerm === undefined ? sql`true` : contains(storableText(searchTerm).slice(0, MAX_TERM))
  if (!roomTypes) return found
  const named = roomTypes.flatMap((type) => (type === null ? [] : storableText(type)))
  return sql`(${found} and (room_type = any(${named}::text[]) or (room_type is null and ${roomTypes.includes(null)}::boolean)))`
}
