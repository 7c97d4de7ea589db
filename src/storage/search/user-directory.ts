import { sql } from 'kysely'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'

/** Replaces the words by which users are found. */
export async function storeUserWords(tx: Tx, users: ReadonlyMap<UserId, readonly string[]>): Promise<void> {
  if (users.size === 0) return
  const pairs = [...users].flatMap(([userId, words]) => words.map((word) => ({ userId, word })))
  await sql`delete from search_user_words where user_id = any(${[...users.keys()]}::text[])`.execute(tx.sql)
  await sql`insert into search_user_words (user_id, word) select * from unnest(
    ${pairs.map((pair) => pair.userId)}::text[], ${pairs.map((pair) => pair.word)}::text[])
    on conflict do nothing`.execute(tx.sql)
}

/** Returns the users who have joined any of some rooms, without duplicates. */
export async function loadJoinedUsers(db: Db, roomIds: readonly RoomId[]): Promise<UserId[]> {
  if (roomIds.length === 0) return []
  const { rows } = await sql<{ user_id: UserId }>`select distinct user_id from room_memberships
    where room_id = any(${roomIds}::text[]) and membership = 'join'`.execute(db.sql)
  return rows.map(({ user_id }) => user_id)
}

/** Returns the display names of users in all rooms, by user. */
export async function loadMemberNames(db: Db, userIds: readonly UserId[]): Promise<Map<UserId, string[]>> {
  const { rows } = await sql<{
    user_id: UserId
    names: string[]
  }>`select user_id, array_agg(distinct displayname) as names
    from room_memberships where user_id = any(${userIds}::text[]) and membership = 'join' and displayname is not null
    group by user_id`.execute(db.sql)
  return new Map(rows.map(({ user_id, names }) => [user_id, names]))
}

/**
 * A user as visible to the searcher: with the profile of a local user, otherwise as a member of a room that the
 * searcher may see.
 */
export type FoundUser = { user_id: UserId; display_name: string | null; avatar_url: string | null }

/** A search: prefixes of words, all of which a user must have. `server`: a prefix of the server name. */
export type UserSearch = { searcher: UserId; prefixes: readonly string[]; server: string | undefined; limit: number }

/**
 * Of rooms that this server has left, it does not know the members any more. `offset 0` keeps PostgreSQL from reading
 * all of room_lists into a hash.
 */
const IS_ROOM_HERE = sql`exists (select 1 from room_lists
  where room_lists.room_id = theirs.room_id and room_lists.membership = 'join' offset 0)`

/**
 * Returns users who share a room with the searcher or are in a public one, as the searcher may be too; users with a
 * name first.
 */
export async function findUsers(db: Db, { searcher, prefixes, server, limit }: UserSearch): Promise<FoundUser[]> {
  const candidates = sql.join(
    prefixes.map(
      (prefix) =>
        sql`select user_id from search_user_words where word >= ${prefix} and word < ${`${prefix}\u{10FFFF}`}`,
    ),
    sql` intersect `,
  )
  const { rows } = await sql<FoundUser>`with candidates as materialized (${candidates}), found as (
    select user_id, coalesce(profiles.displayname, case when users.user_id is null then visible.displayname end) as display_name,
      coalesce(profiles.avatar_url, case when users.user_id is null then visible.avatar_url end) as avatar_url
    from candidates left join users using (user_id) left join profiles using (user_id)
      cross join lateral (
        select theirs.displayname, theirs.avatar_url from room_memberships as theirs join rooms using (room_id)
        where theirs.user_id = candidates.user_id and theirs.membership = 'join'
          and ((join_rule = 'public' or history_visibility = 'world_readable') and ${IS_ROOM_HERE}
            or theirs.user_id <> ${searcher} and exists (
            select 1 from room_memberships as mine
            where mine.room_id = theirs.room_id and mine.user_id = ${searcher} and mine.membership = 'join'))
        order by theirs.displayname nulls last limit 1
      ) as visible
    where true ${server === undefined ? sql`` : sql`and starts_with(substr(user_id, strpos(user_id, ':') + 1), ${server})`}
    )
    select * from found order by display_name is null, char_length(display_name), user_id limit ${limit}::int`.execute(
    db.sql,
  )
  return rows
}
