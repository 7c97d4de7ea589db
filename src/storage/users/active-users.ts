import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db } from '../engine/database.ts'

/** Whether others may act in the name of a row of `users`: the account is neither locked, suspended nor deactivated. */
export const MAY_ACT = sql`not locked and not suspended and deactivated_ts is null`

/** Returns which of some local users may act. */
export async function filterActiveUsers(db: Db, userIds: readonly UserId[]): Promise<UserId[]> {
  if (userIds.length === 0) return []
  const { rows } = await sql<{ user_id: UserId }>`select user_id from users
    where user_id = any(${userIds}::text[]) and ${MAY_ACT}`.execute(db.sql)
  return rows.map(({ user_id }) => user_id)
}
