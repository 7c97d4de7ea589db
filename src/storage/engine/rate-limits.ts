import { sql } from 'kysely'
import type { Tx } from './database.ts'

/** The clocks of the processes may differ; the database's clock is the same for all. */
const NOW = sql`(extract(epoch from statement_timestamp()) * 1000)::float8`

/**
 * Adds the counts of a process to the shared buckets, by key in milliseconds of refilling; returns how far each is from
 * full, by key.
 */
export async function addToRateLimits(tx: Tx, costs: ReadonlyMap<string, number>): Promise<Map<string, number>> {
  // Sorted, so that two processes cannot deadlock.
  const keys = [...costs.keys()].sort()
  const { rows } = await sql<{ key: string; missing: number }>`insert into rate_limits (key, full_ts)
    select key, ${NOW} + cost from unnest(${keys}::text[], ${keys.map((key) => costs.get(key)!)}::float8[]) as counted (key, cost)
    on conflict (key) do update
      set full_ts = greatest(rate_limits.full_ts, ${NOW}) + excluded.full_ts - ${NOW}
    returning key, full_ts - ${NOW} as missing`.execute(tx.sql)
  return new Map(rows.map(({ key, missing }) => [key, missing]))
}

/**
 * Takes one request from a shared bucket; if it is empty, returns how long it takes to refill by one, in milliseconds.
 */
export async function takeFromRateLimit(
  tx: Tx,
  { key, cost, depth }: { key: string; cost: number; depth: number },
): Promise<{ wait: number } | undefined> {
  const { rows } = await sql`insert into rate_limits as bucket (key, full_ts) values (${key}, ${NOW} + ${cost}::float8)
    on conflict (key) do update set full_ts = greatest(bucket.full_ts, ${NOW}) + ${cost}::float8
      where greatest(bucket.full_ts, ${NOW}) + ${cost}::float8 - ${NOW} <= ${depth}::float8 + 0.01
    returning key`.execute(tx.sql)
  if (rows.length > 0) return undefined
  const { rows: full } = await sql<{ missing: number }>`select full_ts - ${NOW} as missing from rate_limits
    where key = ${key}`.execute(tx.sql)
  return { wait: Math.max(1, (full[0]?.missing ?? depth) + cost - depth) }
}

/** Deletes full buckets. */
export async function forgetFullRateLimits(tx: Tx): Promise<void> {
  await sql`delete from rate_limits where full_ts < ${NOW}`.execute(tx.sql)
}
