import { sql } from 'kysely'
import type { Db, Tx } from '../engine/database.ts'
import type { Lease } from '../engine/lease.ts'

/** `preview` null: the fetch failed. */
export type StoredPreview = { preview: string | null; expiresTs: number }

/**
 * Returns the result of the last fetch, which may have expired, and when the lease of the process that fetches the page
 * ends; both times are 0 if there is none.
 */
export async function findUrlPreview(db: Db, key: string): Promise<StoredPreview & { leasedUntil: number }> {
  const row = await db.sql
    .selectFrom('url_previews')
    .select(['preview', 'expires_ts', 'lease_until_ts'])
    .where('key', '=', key)
    .executeTakeFirst()
  return { preview: row?.preview ?? null, expiresTs: row?.expires_ts ?? 0, leasedUntil: row?.lease_until_ts ?? 0 }
}

/** Acquires the lease to fetch a preview. False if another process holds it, or has just stored a preview. */
export async function claimUrlPreview(tx: Tx, key: string, lease: Lease): Promise<boolean> {
  const { rows } = await sql<{ key: string }>`
    insert into url_previews (key, expires_ts, lease_holder, lease_until_ts)
    values (${key}, 0, ${lease.holder}, ${lease.until}::bigint)
    on conflict (key) do update set lease_holder = excluded.lease_holder, lease_until_ts = excluded.lease_until_ts
    where url_previews.expires_ts <= ${lease.now}::bigint
      and coalesce(url_previews.lease_until_ts, 0) <= ${lease.now}::bigint
    returning key`.execute(tx.sql)
  return rows.length === 1
}

/** Stores the result of a fetch and releases its lease. Does nothing if the lease was lost. */
export async function storeUrlPreview(tx: Tx, result: StoredPreview & { key: string; holder: string }): Promise<void> {
  await tx.sql
    .updateTable('url_previews')
    .set({ preview: result.preview, expires_ts: result.expiresTs, lease_holder: null, lease_until_ts: null })
    .where('key', '=', result.key)
    .where('lease_holder', '=', result.holder)
    .execute()
}

/** Deletes up to `limit` previews that expired before `now` and are not being fetched; returns their number. */
export async function deleteExpiredPreviews(tx: Tx, now: number, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`delete from url_previews where key in (
    select key from url_previews where expires_ts <= ${now}::bigint and coalesce(lease_until_ts, 0) <= ${now}::bigint
    limit ${limit}::int for update skip locked)`.execute(tx.sql)
  return Number(numAffectedRows)
}
