import { sql } from 'kysely'
import type { ServerName } from '../../core/ids.ts'
import type { Tx } from '../engine/database.ts'
import { EDU_BYTES } from './federation-outbox.ts'

/** The share of its limit to which a full outbox is reduced. */
const KEPT_SHARE = 0.75
/** Measuring an outbox reads all its rows, so each process does it when it has enqueued this share of the limit. */
const MEASURED_SHARE = 1 / 8

/**
 * Counts enqueued EDUs (`queued`: their bytes by destination); returns the servers whose outboxes are due to be
 * measured. `limit`: bytes of EDUs for one server.
 */
export function outboxesToMeasure(tx: Tx, queued: ReadonlyMap<ServerName, number>, limit: number): ServerName[] {
  const { unmeasuredEdus } = tx.caches
  return [...queued].flatMap(([destination, size]) => {
    const bytes = (unmeasuredEdus.get(destination) ?? 0) + size
    const isFilled = bytes >= limit * MEASURED_SHARE
    if (isFilled) unmeasuredEdus.delete(destination)
    else unmeasuredEdus.set(destination, bytes)
    return isFilled ? [destination] : []
  })
}

/** Reduces a full outbox: deletes all EDUs of the users with the most bytes. Returns how many were deleted. */
export async function emptyFullOutbox(tx: Tx, destination: ServerName, limit: number): Promise<number> {
  const owner = sql`coalesce(sender, subject, '')`
  // Skips locked rows: other transactions may hold some and wait for more, so waiting could deadlock.
  const { rows } = await sql<{ evicted: number }>`with owners as (
      select ${owner} as owner, sum(octet_length(content) + ${EDU_BYTES}::int) as bytes from federation_edus
      where destination = ${destination} group by ${owner}
    ), evicted as (
      select owner from (
        select owner, sum(bytes) over () as all_bytes, sum(bytes) over (order by bytes desc, owner) - bytes as gone_before
        from owners
      ) as summed
      where all_bytes > ${limit}::bigint and all_bytes - gone_before > ${Math.floor(limit * KEPT_SHARE)}::bigint
    ), gone as (
      delete from federation_edus where edu_nid = any(array(
        select edu_nid from federation_edus where destination = ${destination} and ${owner} in (select owner from evicted)
        for update skip locked))
      returning 1
    )
    select count(*)::int as evicted from gone`.execute(tx.sql)
  return rows[0]!.evicted
}
