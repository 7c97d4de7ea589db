import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { AlertRow } from '../schema/figures.ts'

/** Something that administrators are alerted to. */
export type Condition = Pick<AlertRow, 'kind' | 'subject' | 'value'>

/**
 * Records the conditions that hold now. Returns the alerts that begin with it: the others have begun before.
 */
export async function recordConditions(tx: Tx, conditions: readonly Condition[], now: number): Promise<AlertRow[]> {
  if (conditions.length === 0) return []
  const { rows } = await sql<
    AlertRow & { is_new: boolean }
  >`insert into alerts (kind, subject, value, begun_ts, seen_ts)
    select kind, subject, value, ${now}::bigint, ${now}::bigint from unnest(${conditions.map(({ kind }) => kind)}::text[],
      ${conditions.map(({ subject }) => subject)}::text[], ${conditions.map(({ value }) => value)}::float8[])
      as conditions(kind, subject, value)
    on conflict (kind, subject) where ended_ts is null do update set seen_ts = excluded.seen_ts, value = excluded.value
    returning alerts.*, xmax = 0 as is_new`.execute(tx.sql)
  return rows.filter(({ is_new }) => is_new).map(({ is_new: _, ...alert }) => alert)
}

/** Ends the alerts whose condition was last seen before a time, or after another, by a clock that was wrong. Returns them. */
export async function endAlerts(
  tx: Tx,
  { now, before, after }: { now: number; before: number; after: number },
): Promise<AlertRow[]> {
  const { rows } = await sql<AlertRow>`update alerts set ended_ts = ${now}::bigint
    where ended_ts is null and (seen_ts < ${before}::bigint or seen_ts > ${after}::bigint) returning *`.execute(tx.sql)
  return rows
}

/** Moves the time when the conditions of alerts were last seen by a time in which nobody looked. */
export async function deferAlerts(tx: Tx, by: number): Promise<void> {
  await sql`update alerts set seen_ts = seen_ts + ${by}::bigint where ended_ts is null`.execute(tx.sql)
}

/** Deletes all but the newest alerts that have ended. */
export async function deleteOldAlerts(tx: Tx, keep: number): Promise<void> {
  await sql`delete from alerts where ended_ts is not null and alert_nid <= (
    select alert_nid from alerts order by alert_nid desc offset ${keep}::int limit 1)`.execute(tx.sql)
}

/** Returns the newest alerts: those that hold before those that have ended. */
export async function listAlerts(db: Db, limit: number): Promise<AlertRow[]> {
  const { rows } = await sql<AlertRow>`select * from alerts order by ended_ts is not null, alert_nid desc
    limit ${limit}::int`.execute(db.sql)
  return rows
}

/** Counts the alerts that hold, by kind. */
export async function countAlerts(db: Db): Promise<Record<string, number>> {
  const { rows } = await sql<{ kind: string; count: number }>`select kind, count(*)::int as count from alerts
    where ended_ts is null group by kind`.execute(db.sql)
  return Object.fromEntries(rows.map(({ kind, count }) => [kind, count]))
}

/** Returns an alert; undefined if it was deleted. */
export async function findAlert(db: Db, alertNid: number): Promise<AlertRow | undefined> {
  const { rows } = await sql<AlertRow>`select * from alerts where alert_nid = ${alertNid}::bigint`.execute(db.sql)
  return rows[0]
}

/** Returns the administrators who can read notices. */
export async function listAlertedAdmins(db: Db, limit: number): Promise<UserId[]> {
  const { rows } = await sql<{ user_id: UserId }>`select user_id from users
    where is_admin and deactivated_ts is null order by user_id limit ${limit}::int`.execute(db.sql)
  return rows.map(({ user_id }) => user_id)
}
