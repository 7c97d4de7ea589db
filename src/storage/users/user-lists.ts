import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db } from '../engine/database.ts'

/** A user in a list for administrators. */
export type ListedUser = {
  user_id: UserId
  displayname: string | null
  avatar_url: string | null
  is_guest: boolean
  is_admin: boolean
  deactivated: boolean
  locked: boolean
  suspended: boolean
  shadow_banned: boolean
  erased: boolean
  user_type: string | null
  created_ts: number
  last_seen_ts: number | null
}

export const USER_ORDERS = [
  ...['name', 'displayname', 'is_guest', 'admin', 'deactivated', 'user_type', 'avatar_url', 'shadow_banned'],
  ...['creation_ts', 'last_seen_ts', 'locked', 'suspended'],
] as const

/** Which users a list has; null: any. */
export type UserFilter = {
  /** A part of the user ID, in lower case. */
  idPart: string | null
  /** A part of the user ID or of the display name, in lower case. */
  namePart: string | null
  guests: boolean | null
  deactivated: boolean | null
  locked: boolean | null
  suspended: boolean | null
  shadowBanned: boolean | null
  admins: boolean | null
  /** User types that are left out; '' stands for users without a type. */
  withoutTypes: readonly string[]
}

/** No limit to any users. */
export const EVERYBODY: UserFilter = {
  ...{ idPart: null, namePart: null, guests: null, deactivated: null, locked: null, suspended: null, admins: null },
  shadowBanned: null,
  withoutTypes: [],
}

export type UserPage = { order: string; isDescending: boolean; from: number; limit: number }

/** From this offset on, a page may be read from the end of the list. */
const FAR = 1000

/** Returns a page of the users of this server. */
export async function listUsers(db: Db, filter: UserFilter, page: UserPage): Promise<ListedUser[]> {
  if (page.from < FAR) return loadPage(db, filter, page)
  const total = await countUsers(db, filter)
  if (page.from <= total / 2) return loadPage(db, filter, page)
  // The users before a page have to be passed: from the end there are fewer.
  const limit = Math.max(0, Math.min(page.limit, total - page.from))
  const from = Math.max(0, total - page.from - limit)
  const isDescending = !page.isDescending
  return (await loadPage(db, filter, { ...page, isDescending, from, limit })).reverse()
}

/** Only the users of the page are looked up with all they have: in turn, which `offset 0` forces. */
async function loadPage(
  db: Db,
  filter: UserFilter,
  { order, isDescending, from, limit }: UserPage,
): Promise<ListedUser[]> {
  const direction = isDescending ? sql`desc` : sql`asc`
  const { rows } =
    await sql<ListedUser>`select page.user_id, profile.displayname, profile.avatar_url, is_guest, is_admin,
      deactivated_ts is not null as deactivated, locked, suspended, shadow_banned, erased, user_type, created_ts, last_seen_ts
    from (select user_id, place from ${sourceOf(filter, order)} where ${matches(filter)}
        order by place ${direction}, user_id ${direction}
        limit (select ${limit}::bigint) offset (select ${from}::bigint)) as page
      cross join lateral (select * from users where users.user_id = page.user_id offset 0) as one
      cross join lateral (select last_seen_ts from listed_users where listed_users.user_id = page.user_id offset 0) as seen
      left join lateral (select displayname, avatar_url from profiles where profiles.user_id = page.user_id offset 0)
        as profile on true
    order by place ${direction}, page.user_id ${direction}`.execute(db.sql)
  return rows
}

/** Returns how many users a list has. */
export async function countUsers(db: Db, filter: UserFilter): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count
    from ${sourceOf(filter, 'name')} where ${matches(filter)}`.execute(db.sql)
  return rows[0]!.count
}

/** Returns when a user was last seen with any device; null: never. */
export async function findLastSeen(db: Db, userId: UserId): Promise<number | null> {
  const { rows } = await sql<{ last_seen_ts: number | null }>`select last_seen_ts from listed_users
    where user_id = ${userId}`.execute(db.sql)
  return rows[0]?.last_seen_ts ?? null
}

/**
 * Returns the users of a list with the `place` that they are sorted by: for most orders from the table with the indexes
 * for them. For orders by other columns each user is looked up in turn, so that an index gives the order. A search
 * reads all names, and looks up the users whom it finds.
 */
function sourceOf({ idPart, namePart }: UserFilter, order: string) {
  if (idPart !== null)
    return sql`(select listed.*, own.*, ${columnOf(order)} as place from (select * from listed_users
      where strpos(lower(user_id collate "C"), ${idPart}) > 0 offset 0) as listed ${OWN}) as source`
  if (namePart !== null)
    return sql`(select listed.*, own.*, ${columnOf(order)} as place from (select * from listed_users
      where strpos(searched, ${namePart}) > 0 offset 0) as listed ${OWN}) as source`
  if (order === 'displayname')
    return sql`(select listed.*, own.*, displayname collate "C" as place from listed_users as listed ${OWN}) as source`
  if (order === 'avatar_url')
    return sql`(select listed.*, own.*, avatar_url collate "C" as place from listed_users as listed ${OWN}) as source`
  if (order === 'last_seen_ts')
    return sql`(select listed.*, own.*, last_seen_ts as place from listed_users as listed ${OWN}) as source`
  return sql`(select users.*, ${ownColumnOf(order)} as place from users) as source`
}

const OWN = sql`cross join lateral (select is_admin, is_guest, deactivated_ts, locked, suspended, shadow_banned, user_type,
  created_ts from users where users.user_id = listed.user_id offset 0) as own`

function matches(filter: UserFilter) {
  const { withoutTypes } = filter
  const conditions = [
    sql`true`,
    ...(filter.guests === null ? [] : [sql`is_guest = ${filter.guests}::boolean`]),
    ...(filter.deactivated === null ? [] : [sql`(deactivated_ts is not null) = ${filter.deactivated}::boolean`]),
    ...(filter.locked === null ? [] : [sql`locked = ${filter.locked}::boolean`]),
    ...(filter.suspended === null ? [] : [sql`suspended = ${filter.suspended}::boolean`]),
    ...(filter.shadowBanned === null ? [] : [sql`shadow_banned = ${filter.shadowBanned}::boolean`]),
    ...(filter.admins === null ? [] : [sql`is_admin = ${filter.admins}::boolean`]),
    ...(withoutTypes.length === 0 ? [] : [sql`coalesce(user_type, '') <> all(${withoutTypes}::text[])`]),
  ]
  return sql.join(conditions, sql` and `)
}

function columnOf(order: string) {
  if (order === 'displayname') return sql`displayname collate "C"`
  if (order === 'avatar_url') return sql`avatar_url collate "C"`
  if (order === 'last_seen_ts') return sql`last_seen_ts`
  return ownColumnOf(order)
}

function ownColumnOf(order: string) {
  if (order === 'is_guest') return sql`is_guest`
  if (order === 'admin') return sql`is_admin`
  if (order === 'deactivated') return sql`(deactivated_ts is not null)`
  if (order === 'user_type') return sql`user_type`
  if (order === 'creation_ts') return sql`created_ts`
  if (order === 'locked') return sql`locked`
  if (order === 'suspended') return sql`suspended`
  if (order === 'shadow_banned') return sql`shadow_banned`
  return sql`user_id`
}
