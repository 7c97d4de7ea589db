import { sql } from 'kysely'
import type { ServerName } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'

/** Puts all destinations into catch-up: while federation is disabled, only rooms are marked. */
export async function startCatchUpOfAllDestinations(tx: Tx): Promise<void> {
  await sql`insert into federation_destinations (destination, needs_catch_up)
    select distinct server_name, true from room_servers order by server_name
    on conflict (destination) do update set needs_catch_up = true`.execute(tx.sql)
}

/** Releases all leases with their pending transactions when this process stops. */
export async function releaseDestinations(tx: Tx, holder: string): Promise<void> {
  await sql`with held as (
      select destination from federation_destinations where leased_by = ${holder} order by destination for update
    )
    update federation_destinations set leased_by = null, leased_until = 0, wake_ts = 0
    from held where federation_destinations.destination = held.destination`.execute(tx.sql)
}

/** Renews the leases of destinations whose requests take long. */
export async function extendLeases(
  tx: Tx,
  { holder, destinations, until }: { holder: string; destinations: readonly ServerName[]; until: number },
): Promise<void> {
  await sql`with held as (
      select destination from federation_destinations
      where destination = any(${destinations}::text[]) and leased_by = ${holder} order by destination for update
    )
    update federation_destinations set leased_until = ${until}::bigint, wake_ts = ${until}::bigint
    from held where federation_destinations.destination = held.destination`.execute(tx.sql)
}

/** Returns destinations whose back-off or lease has ended. */
export async function findDueDestinations(db: Db, now: number, limit: number): Promise<ServerName[]> {
  const { rows } = await sql<{ destination: ServerName }>`select destination from federation_destinations
    where wake_ts <= ${now}::bigint order by wake_ts limit ${limit}::int`.execute(db.sql)
  return rows.map((row) => row.destination)
}

/** The numbers of the last enqueued event and EDU. */
export type OutboxMark = { event: number; edu: number }

/** The start of the outbox. */
export const OUTBOX_START: OutboxMark = { event: 0, edu: 0 }

/**
 * Returns destinations without a lease for which something was enqueued after `since` and is still queued: the process
 * that enqueued it died before sending. Also returns the current end of the outbox.
 */
export async function findForgottenDestinations(
  db: Db,
  since: OutboxMark,
): Promise<{ destinations: ServerName[]; mark: OutboxMark }> {
  const marks = await sql<{ event: number | null; edu: number | null }>`select
    (select max(queue_nid) from federation_queue) as event, (select max(edu_nid) from federation_edus) as edu`.execute(
    db.sql,
  )
  const { event, edu } = marks.rows[0]!
  const { rows } = await sql<{ destination: ServerName }>`select destination from (
      select destination from federation_queue where queue_nid > ${since.event}::bigint
      union select destination from federation_edus where edu_nid > ${since.edu}::bigint
      union select destination from federation_room_notes where ${since === OUTBOX_START}
    ) as waiting left join federation_destinations using (destination) where wake_ts is null`.execute(db.sql)
  return {
    destinations: rows.map((row) => row.destination),
    mark: { event: Math.max(event ?? 0, since.event), edu: Math.max(edu ?? 0, since.edu) },
  }
}

/** Ends a destination's back-off: it has sent a request. False if it was not in back-off. */
export async function endBackOff(tx: Tx, destination: ServerName): Promise<boolean> {
  const { rows } = await sql`update federation_destinations set retry_ts = 0, wake_ts = 0
    where destination = ${destination} and retry_ts > 0 and leased_by is null returning 1`.execute(tx.sql)
  return rows.length > 0
}

/** Counts the outbox for metrics; rows are counted up to `limit`. */
export async function countOutbox(
  db: Db,
  limit: number,
): Promise<{ events: number; edus: number; failing: number; lagging: number }> {
  const { rows } = await sql<{ events: number; edus: number; failing: number; lagging: number }>`select
    (select count(*)::int from (select 1 from federation_queue limit ${limit}::int) as queued) as events,
    (select count(*)::int from (select 1 from federation_edus limit ${limit}::int) as queued) as edus,
    (select count(*)::int from federation_destinations where wake_ts is not null and failures > 0) as failing,
    (select count(*)::int from federation_destinations where wake_ts is not null and needs_catch_up) as lagging`.execute(
    db.sql,
  )
  return rows[0]!
}
