import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db } from '../engine/database.ts'

/** Returns which of some local users may act: those whose accounts are neither locked nor deactivated. */
export async function filterActiveUsers(db: Db, userIds: readonly UserId[]): Promise<UserId[]> {
  if (userIds.length === 0) return []
  const { rows } = await sql<{ user_id: UserId }>`select user_id from users
    where user_id = any(${userIds}::text[]) and not locked and deactivated_ts is null`.execute(db.sql)
  return rows.map(({ user_id }) => user_id)
}
