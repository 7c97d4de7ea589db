import { sql } from 'kysely'
import type { Db } from '../engine/database.ts'

export type TableSize = { table: string; bytes: number; estimated_rows: number }

/** Returns the tables of the database by size, with their indexes and long values. Rows are the planner's estimate. */
export async function listTableSizes(db: Db): Promise<TableSize[]> {
  const { rows } = await sql<TableSize>`select relname as "table", pg_total_relation_size(oid) as bytes,
      greatest(reltuples, 0)::bigint as estimated_rows
    from pg_class where relnamespace = current_schema()::regnamespace and relkind = 'r'
    order by bytes desc, relname`.execute(db.sql)
  return rows
}

/** Counts the accounts that were created since a time, without guests, by day (UTC) since 1970. */
export async function countRegistrations(db: Db, since: number): Promise<Map<number, number>> {
  const { rows } = await sql<{ day: number; registrations: number }>`select created_ts / 86400000 as day,
      count(*)::int as registrations
    from users where created_ts >= ${since}::bigint and not is_guest group by day`.execute(db.sql)
  return new Map(rows.map(({ day, registrations }) => [day, registrations]))
}
