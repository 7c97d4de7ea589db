import { sql } from 'kysely'
import type { LoadName } from '../../core/figures/load.ts'
import type { Db } from '../engine/database.ts'

/** Figures of the server as a whole. */
export type ServerValues = Partial<Record<LoadName, number>>

/** Rows that are counted; longer queues count as this long. */
const COUNTED_ROWS = 100_000
/** The oldest entry that can be processed now is looked for among this many. */
const OLDEST_ROWS = 10_000

/** Counts the queues. */
export async function countQueues(db: Db, now: number): Promise<ServerValues> {
  const { rows } = await sql<{
    outbox_events: number
    outbox_edus: number
    inbox_events: number
    push_queue: number
    jobs_waiting: number
    appservice_lag: number
  }>`select
    (select count(*)::int from (select 1 from federation_queue limit ${COUNTED_ROWS}::int) as queued) as outbox_events,
    (select count(*)::int from (select 1 from federation_edus limit ${COUNTED_ROWS}::int) as queued) as outbox_edus,
    (select count(*)::int from (select 1 from federation_inbox limit ${COUNTED_ROWS}::int) as queued) as inbox_events,
    (select count(*)::int from (select 1 from push_queue limit ${COUNTED_ROWS}::int) as queued) as push_queue,
    (select count(*)::int from (select 1 from jobs where due_ts <= ${now}::bigint limit ${COUNTED_ROWS}::int) as due)
      as jobs_waiting,
    coalesce((select (select last_value from stream_positions) - min(stream_position) from appservices), 0)::bigint
      as appservice_lag`.execute(db.sql)
  return rows[0]!
}

/** The queues of which the age is watched. */
export type WatchedQueue = 'outbox' | 'inbox' | 'push' | 'jobs'

/**
 * Returns since when the oldest entry of each queue has been waiting that has not failed, in milliseconds since 1970.
 * Entries that failed back off; what they wait for is not this server.
 */
export async function findOldestEntries(db: Db, now: number): Promise<Record<WatchedQueue, number | null>> {
  const { rows } = await sql<Record<WatchedQueue, number | null>>`select
    (select min(due_ts) from jobs where due_ts <= ${now}::bigint and attempts = 0) as jobs,
    (select min(received_ts) from (select received_ts, attempts from federation_inbox
      order by inbox_nid limit ${OLDEST_ROWS}::int) as oldest where attempts = 0) as inbox,
    (select min(queued_ts) from (select pusher_nid, queued_ts from push_queue
      order by queue_nid limit ${OLDEST_ROWS}::int) as oldest join pushers using (pusher_nid) where failures = 0) as push,
    (select origin_server_ts from (select queue_nid, destination, event_nid from federation_queue
      order by queue_nid limit ${OLDEST_ROWS}::int) as oldest
      left join federation_destinations using (destination) join events using (event_nid)
      where coalesce(failures, 0) = 0 order by queue_nid limit 1) as outbox`.execute(db.sql)
  return rows[0]!
}

/**
 * Counts the servers that this one sends to, and those of them that do not respond, without those that have not done so
 * since before `since`: they are gone.
 */
export async function countServers(db: Db, since: number): Promise<{ known_servers: number; failing_servers: number }> {
  const { rows } = await sql<{ known_servers: number; failing_servers: number }>`select count(*)::int as known_servers,
      (count(*) filter (where failures > 0))::int as failing_servers
    from federation_destinations where failing_since is null or failing_since > ${since}::bigint`.execute(db.sql)
  return rows[0]!
}

/** Returns the size of the database on disk, in bytes. */
export async function measureDatabase(db: Db): Promise<{ database_bytes: number }> {
  const { rows } = await sql<{ database_bytes: number }>`
    select pg_database_size(current_database()) as database_bytes`.execute(db.sql)
  return rows[0]!
}

/**
 * Sums up the media files, and counts the users of this server who used it since the start of the day, and since the
 * start of the month, without guests. Reads whole tables.
 */
export async function countMediaAndUsers(
  db: Db,
  { day, month }: { day: number; month: number },
): Promise<{ media_bytes: number; daily_active_users: number; monthly_active_users: number }> {
  const { rows } = await sql<{ media_bytes: number; daily_active_users: number; monthly_active_users: number }>`select
      (select coalesce(sum(size), 0)::bigint from media_files) as media_bytes,
      (count(*) filter (where seen_ts >= ${day}::bigint))::int as daily_active_users,
      (count(*) filter (where seen_ts >= ${month}::bigint))::int as monthly_active_users
    from (select user_id, max(last_seen_ts) as seen_ts from devices group by user_id) as seen
      join users using (user_id) where not is_guest`.execute(db.sql)
  return rows[0]!
}
