import { type RawBuilder, sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'

/** Which sessions a list has; null: any. Times are in milliseconds since 1970. */
export type SessionFilter = {
  userId: UserId | null
  createdBefore: number | null
  createdAfter: number | null
  activeBefore: number | null
  activeAfter: number | null
}

/** Fields of all kinds of sessions in lists. */
export type ListedSession = {
  user_id: UserId
  user_created_ts: number
  created_ts: number
  user_agent: string | null
  last_active_ts: number | null
  last_active_ip: string | null
}

type Column = RawBuilder<unknown>

/** Returns the conditions of a filter, by the columns of the user and of the times. */
export function matchesSession(user: Column, created: Column, active: Column, filter: SessionFilter) {
  const { userId, createdBefore, createdAfter, activeBefore, activeAfter } = filter
  const conditions = [
    sql`true`,
    ...(userId === null ? [] : [sql`${user} = ${userId}`]),
    ...(createdBefore === null ? [] : [sql`${created} < ${createdBefore}::bigint`]),
    ...(createdAfter === null ? [] : [sql`${created} > ${createdAfter}::bigint`]),
    ...(activeBefore === null ? [] : [sql`${active} < ${activeBefore}::bigint`]),
    ...(activeAfter === null ? [] : [sql`${active} > ${activeAfter}::bigint`]),
  ]
  return sql.join(conditions, sql` and `)
}
