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

/** Returns a page of the users of this server. */
export async function listUsers(
  db: Db,
  filter: UserFilter,
  { order, isDescending, from, limit }: UserPage,
): Promise<ListedUser[]> {
  const direction = isDescending ? sql`desc` : sql`asc`
  // Only the users of the page are looked up in devices, unless the list is in that order.
  const { rows } = await sql<ListedUser>`select user_id, displayname, avatar_url, is_guest, is_admin,
      deactivated_ts is not null as deactivated, locked, suspended, shadow_banned, erased, user_type, created_ts,
      (select max(last_seen_ts) from devices where devices.user_id = page.user_id) as last_seen_ts
    from (select users.*, displayname, avatar_url, seen_ts
      from users left join profiles using (user_id)
        ${order === 'last_seen_ts' ? sql`left join (select user_id, max(last_seen_ts) as seen_ts from devices group by user_id) as seen using (user_id)` : sql`cross join (select null::bigint as seen_ts) as seen`}
      where ${matches(filter)}
      order by ${columnOf(order)} ${direction}, user_id ${direction}
      limit ${limit}::int offset ${from}::bigint) as page
    order by ${columnOf(order)} ${direction}, user_id ${direction}`.execute(db.sql)
  return rows
}

/** Returns how many users a list has. */
export async function countUsers(db: Db, filter: UserFilter): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count
    from users left join profiles using (user_id) where ${matches(filter)}`.execute(db.sql)
  return rows[0]!.count
}

/** Returns when a user was last seen with any device; null: never. */
export async function findLastSeen(db: Db, userId: UserId): Promise<number | null> {
  const { rows } = await sql<{ last_seen_ts: number | null }>`select max(last_seen_ts) as last_seen_ts from devices
    where user_id = ${userId}`.execute(db.sql)
  return rows[0]!.last_seen_ts
}

function matches(filter: UserFilter) {
  const { idPart, namePart, withoutTypes } = filter
  const conditions = [
    sql`true`,
    ...(idPart === null ? [] : [sql`strpos(lower(users.user_id collate "C"), ${idPart}) > 0`]),
    ...(namePart === null
      ? []
      : [
          sql`(strpos(lower(users.user_id collate "C"), ${namePart}) > 0 or strpos(lower(displayname), ${namePart}) > 0)`,
        ]),
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
  if (order === 'displayname') return sql`displayname`
  if (order === 'is_guest') return sql`is_guest`
  if (order === 'admin') return sql`is_admin`
  if (order === 'deactivated') return sql`(deactivated_ts is not null)`
  if (order === 'user_type') return sql`user_type`
  if (order === 'avatar_url') return sql`avatar_url`
  if (order === 'creation_ts') return sql`created_ts`
  if (order === 'last_seen_ts') return sql`seen_ts`
  if (order === 'locked') return sql`locked`
  if (order === 'suspended') return sql`suspended`
  if (order === 'shadow_banned') return sql`shadow_banned`
  return sql`user_id`
}
