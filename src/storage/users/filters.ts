import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'

type FilterKey = { userId: UserId; filterId: string }

/** Stores a filter (JSON text) under an id; false if it exists. */
export async function storeFilter(tx: Tx, { userId, filterId }: FilterKey, filter: string): Promise<boolean> {
  const result = await sql`insert into filters (user_id, filter_id, filter) values (${userId}, ${filterId}, ${filter})
    on conflict (user_id, filter_id) do nothing`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/** Counts the filters of a user. */
export async function countFilters(db: Db, userId: UserId): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from filters
    where user_id = ${userId}`.execute(db.sql)
  return rows[0]!.count
}

/** Returns a stored filter (JSON text). */
export async function findFilter(db: Db, { userId, filterId }: FilterKey): Promise<string | undefined> {
  const { rows } = await sql<{ filter: string }>`select filter from filters
    where user_id = ${userId} and filter_id = ${filterId}`.execute(db.sql)
  return rows[0]?.filter
}

/** Deletes a user's filters, when the account is deactivated. */
export async function deleteFilters(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('filters').where('user_id', '=', userId).execute()
}
