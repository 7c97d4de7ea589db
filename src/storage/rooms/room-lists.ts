import { type RawBuilder, sql } from 'kysely'
import type { RoomId, ServerName, UserId } from '../../core/ids.ts'
import type { Membership } from '../../core/rooms/membership.ts'
import type { Db, Tx } from '../engine/database.ts'
import { sharedLookUp } from '../engine/shared-loads.ts'
import type { KnownRoom } from '../schema/sliding-sync.ts'

/** A room in a user's list, and the state of it that a sliding sync connection has received. */
export type ListedRoom = {
  roomId: RoomId
  membership: Membership
  /** The user's member event; null if the room lost it. */
  memberNid: number | null
  /** When the membership began, as a bump stamp. */
  since: number
  bump: number
  /** Root of the room's current state, and event_order of its last event. */
  stateRoot: number
  lastOrder: number
  /** Until when the room has sticky events, at most, in milliseconds since 1970. */
  stickyUntil: number
  known: KnownRoom | undefined
  /** Nids of state events that were redacted since the connection received the room. */
  redacted: readonly number[]
}

/** Filters rooms; undefined fields match all rooms. */
export type RoomListFilter = {
  isInvite?: boolean | undefined
  isEncrypted?: boolean | undefined
  /** null: rooms without a type. */
  types?: readonly (string | null)[] | undefined
  notTypes?: readonly (string | null)[] | undefined
  /** A part of the name, case-insensitive. */
  name?: string | undefined
  only?: readonly RoomId[] | undefined
  except?: readonly RoomId[] | undefined
}

/** The first and last index of a window, inclusive. */
export type Window = readonly [first: number, last: number]

/** The user, and the connection whose received state is joined. */
export type ListReader = { userId: UserId; connection: number | undefined }

/** The rooms of a user's list in `windows`. */
export type ListWindow = {
  filter: RoomListFilter
  windows: readonly Window[]
  /** Only rooms with changes that the connection has not received. */
  newsOnly: boolean
  /**
   * For `newsOnly`: the only rooms that can have changes. Then all of these that are in the list must be in its
   * windows.
   */
  touched?: readonly RoomId[] | undefined
}

/** The number of rooms of a filtered list, and those in its windows, the room with the newest event first. */
export type ListedWindow = { count: number; rooms: ListedRoom[] }

/** Returns the number of pending invites of some users, and how many of them came from one server. */
export async function countPendingInvites(
  db: Db,
  userIds: readonly UserId[],
  server: ServerName,
): Promise<{ user_id: UserId; all: number; byServer: number }[]> {
  if (userIds.length === 0) return []
  const { rows } = await sql<{ user_id: UserId; all: number; byServer: number }>`select user_id, count(*)::int as all,
      (count(*) filter (where exists (select 1 from room_contacts as contact where contact.room_id = room_lists.room_id
        and contact.user_id = room_lists.user_id and server_name = ${server})))::int as "byServer"
    from room_lists where user_id = any(${userIds}::text[]) and membership = 'invite' group by user_id`.execute(db.sql)
  return rows
}

/** Reads a room list; concurrent readers of equal windows of several users' lists share a query. */
export async function loadListWindow(db: Db, reader: ListReader, wanted: ListWindow): Promise<ListedWindow> {
  return (await findWindow(db, { reader, wanted }))!
}

type WindowOfReader = { reader: ListReader; wanted: ListWindow }

const findWindow = sharedLookUp<WindowOfReader, ListedWindow>(
  async (db, all) => {
    const found = new Map<WindowOfReader, ListedWindow>()
    const alike = Map.groupBy(all, ({ wanted }) => JSON.stringify(wanted))
    await Promise.all(
      [...alike.values()].map(async (some) => {
        const lists = await loadWindows(
          db,
          some.map(({ reader }) => reader),
          some[0]!.wanted,
        )
        for (const [place, list] of lists.entries()) found.set(some[place]!, list)
      }),
    )
    return found
  },
  { most: 50, retriesAlone: true },
)

/**
 * The plan must not depend on table statistics, which may not exist yet: the limit is hidden in a subquery, which
 * favours the index with the order, and `offset 0` forces one room look-up after the other.
 */
async function loadWindows(db: Db, readers: readonly ListReader[], wanted: ListWindow): Promise<ListedWindow[]> {
  const { touched, filter } = wanted
  const { rows } = await sql<
    Row & { reader_place: number; count: number }
  >`select reader.place as reader_place, answer.* from ${unnested(readers)}
    cross join lateral (with ${touched ? touchedRooms(filter, touched) : roomsInWindows(wanted)}
    select count, shown.* from (select count(*)::int as count from room_lists
      where user_id = reader.user_id and is_listed ${conditions(filter)}) as counted left join shown on true) as answer
    order by reader.place, answer.place`.execute(db.sql)
  const ofReaders = Map.groupBy(rows, (row) => row.reader_place)
  return readers.map((_, place) => {
    const own = ofReaders.get(place + 1) ?? []
    return { count: own[0]?.count ?? 0, rooms: own.filter((row) => row.room_id !== null).map(listedRoom) }
  })
}

/** The rooms in the windows of a list, as `shown`. */
function roomsInWindows({ filter, windows, newsOnly }: ListWindow): RawBuilder<unknown> {
  const end = Math.max(0, ...windows.map(([, last]) => last + 1))
  const isShown = sql`exists (select 1 from unnest(${windows.map(([first]) => first)}::bigint[], ${windows.map(([, last]) => last)}::bigint[])
    as ranges(first, last) where place between first and last)`
  return sql`settled as (
      select room_id, activity as place_by from room_lists where user_id = reader.user_id and is_listed ${conditions(filter)}
        and not (membership = 'join' and room_id in (select room_id from active_rooms))
      order by activity desc, room_id limit (select ${Math.min(end, MOST_ROOMS)}::bigint)
    ), active as (
      select mine.room_id, heads.activity as place_by from active_rooms
      cross join lateral (select room_id from room_lists where user_id = reader.user_id and room_id = active_rooms.room_id
        and is_listed and membership = 'join' ${conditions(filter)} offset 0) as mine
      cross join lateral (select activity from room_heads where room_id = mine.room_id offset 0) as heads
    ), placed as (
      select room_id, row_number() over (order by place_by desc, room_id) - 1 as place
      from (select * from settled union all select * from active) as both_kinds
    ), shown as (
      select ${COLUMNS}, place from (select * from placed where ${isShown} offset 0) as wanted
      cross join lateral (${listedRoomOf()}) as listed ${KNOWN_OF_ROOM} ${newsOnly ? IS_NEWS : sql``}
    )`
}

/** The given rooms that are in the list and have changes for the connection, as `shown`. */
function touchedRooms(filter: RoomListFilter, touched: readonly RoomId[]): RawBuilder<unknown> {
  return sql`shown as (
      select ${COLUMNS}, touched.place from unnest(${touched}::text[]) with ordinality as touched(room_id, place)
      cross join lateral (select touched.room_id offset 0) as wanted
      cross join lateral (${listedRoomOf(sql`and is_listed ${conditions(filter)}`)}) as listed ${KNOWN_OF_ROOM} ${IS_NEWS}
    )`
}

function unnested(readers: readonly ListReader[]): RawBuilder<unknown> {
  return sql`unnest(${readers.map(({ userId }) => userId)}::text[], ${readers.map(({ connection }) => connection ?? 0)}::bigint[])
    with ordinality as reader(user_id, connection_nid, place)`
}

/** More rooms than any user has. */
const MOST_ROOMS = 1_000_000

/**
 * Returns some rooms of a user, in lists or not. A room without a membership, or a forgotten one, is omitted unless the
 * connection has received it.
 */
export async function loadListedRooms(db: Db, reader: ListReader, roomIds: readonly RoomId[]): Promise<ListedRoom[]> {
  if (roomIds.length === 0) return []
  return (await findListedRooms(db, { reader, roomIds: new Set(roomIds) })) ?? []
}

const findListedRooms = sharedLookUp<{ reader: ListReader; roomIds: ReadonlySet<RoomId> }, ListedRoom[]>(
  async (db, all) => {
    const pairs = all.flatMap(({ reader, roomIds }, place) =>
      [...roomIds].map((roomId) => ({ ...reader, roomId, place })),
    )
    const { rows } = await sql<Row & { reader_place: number }>`select reader.place as reader_place, ${COLUMNS}
      from unnest(${pairs.map(({ userId }) => userId)}::text[], ${pairs.map(({ connection }) => connection ?? 0)}::bigint[],
        ${pairs.map(({ roomId }) => roomId)}::text[], ${pairs.map(({ place }) => place)}::int[])
        as reader(user_id, connection_nid, room_id, place)
      cross join lateral (select reader.room_id offset 0) as wanted
      cross join lateral (${listedRoomOf()}) as listed ${KNOWN_OF_ROOM}
      where is_listed or was_joined and not forgotten or known.membership <> ''`.execute(db.sql)
    const ofReaders = Map.groupBy(rows, (row) => row.reader_place)
    return new Map([...ofReaders].map(([place, listed]) => [all[place]!, listed.map(listedRoom)]))
  },
  { most: 50, retriesAlone: true },
)

type Row = {
  room_id: RoomId
  membership: Membership
  event_nid: number
  activity: number
  bump: number | null
  state_root: number | null
  next_order: number | null
  sticky_until: number | null
  known_membership: Membership | '' | null
  known_root: number
  known_order: number
  known_events: number
  known_config: number
  known_flags: number
  known_members: number[]
  redacted: number[] | null
}

/** The room of a row of `wanted`, in the list of a user of `reader`; `further`: additional conditions. */
function listedRoomOf(further: RawBuilder<unknown> = sql``): RawBuilder<unknown> {
  return sql`select room_lists.*, heads.state_root, heads.next_order, heads.bump, heads.sticky_until from room_lists left join lateral
      (select state_root, next_order, bump, sticky_until from room_heads where room_heads.room_id = room_lists.room_id offset 0) as heads on true
    where user_id = reader.user_id and room_lists.room_id = wanted.room_id ${further} offset 0`
}

const COLUMNS = sql`listed.room_id, listed.membership, event_nid, listed.activity, bump, listed.state_root, next_order, sticky_until,
  known.membership as known_membership, known.state_root as known_root, known.event_order as known_order,
  known.events as known_events, known.config as known_config, known.flags as known_flags, known.members as known_members,
  (select array_agg(redacted_state.event_nid) from redacted_state where redacted_state.room_id = listed.room_id
    and redacted_state.event_order > known.event_order and known.membership = 'join') as redacted`

const KNOWN_OF_ROOM = sql`left join lateral (select * from sliding_rooms where connection_nid = reader.connection_nid
  and sliding_rooms.room_id = listed.room_id offset 0) as known on true`

/** For rooms that the user is not in, connections store the member event. */
const IS_NEWS = sql`where (known.membership is distinct from listed.membership
  or listed.membership = 'join' and (known.state_root <> listed.state_root or known.event_order <> next_order - 1)
  or listed.membership <> 'join' and known.event_order <> event_nid)`

function conditions(filter: RoomListFilter): RawBuilder<unknown> {
  const { isInvite, isEncrypted, types, notTypes, name, only, except } = filter
  const parts = [
    ...(isInvite === undefined ? [] : [sql`and (membership = 'invite') = ${isInvite}`]),
    ...(isEncrypted === undefined ? [] : [sql`and is_encrypted = ${isEncrypted}`]),
    ...(types ? [sql`and ${isOfType(types)}`] : []),
    ...(notTypes ? [sql`and not ${isOfType(notTypes)}`] : []),
    ...(name === undefined
      ? []
      : [
          sql`and exists (select 1 from rooms where rooms.room_id = room_lists.room_id and strpos(lower(name), lower(${name})) > 0)`,
        ]),
    ...(only ? [sql`and room_id = any(${only}::text[])`] : []),
    ...(except ? [sql`and not room_id = any(${except}::text[])`] : []),
  ]
  return sql.join(parts, sql` `)
}

function isOfType(types: readonly (string | null)[]): RawBuilder<unknown> {
  const named = types.filter((type) => type !== null)
  return sql`(coalesce(room_type = any(${named}::text[]), false) or ${types.includes(null)} and room_type is null)`
}

function listedRoom(row: Row): ListedRoom {
  const { known_membership } = row
  return {
    roomId: row.room_id,
    membership: row.membership,
    memberNid: row.event_nid,
    since: row.activity,
    bump: row.bump ?? 0,
    stateRoot: row.state_root ?? 0,
    lastOrder: (row.next_order ?? 1) - 1,
    stickyUntil: row.sticky_until ?? 0,
    redacted: row.redacted ?? [],
    known: known_membership
      ? {
          membership: known_membership,
          state_root: row.known_root,
          event_order: row.known_order,
          events: row.known_events,
          config: row.known_config,
          flags: row.known_flags,
          members: row.known_members,
        }
      : undefined,
  }
}

/** Stores the stripped state of an out-of-band room in a user's list, for filters. */
export async function storeOutOfBandRoom(
  tx: Tx,
  { roomId, userId, ...changed }: { roomId: RoomId; userId: UserId; type: string | null; isEncrypted: boolean },
): Promise<void> {
  await sql`update room_lists set room_type = ${changed.type}, is_encrypted = ${changed.isEncrypted}
    where user_id = ${userId} and room_id = ${roomId} and not exists (select 1 from rooms where rooms.room_id = ${roomId})`.execute(
    tx.sql,
  )
}
