import { sql } from 'kysely'
import type { Json } from '../../core/pdu.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { Lease } from '../engine/lease.ts'
import type { JobRow } from '../schema/jobs.ts'

/**
 * Enqueues a job that runs after this transaction; returns it. A waiting job of the same kind and key gets the new
 * payload instead; a running one runs again.
 */
export async function enqueueJob(
  tx: Tx,
  { kind, key, payload, now }: { kind: string; key: string; payload: Json; now: number },
): Promise<number> {
  const { rows } = await sql<{ job_nid: number }>`insert into jobs (kind, key, payload, created_ts, due_ts)
    values (${kind}, ${key}, ${JSON.stringify(payload)}, ${now}::bigint, ${now}::bigint)
    on conflict (kind, key) do update set payload = excluded.payload, version = jobs.version + 1,
      due_ts = excluded.due_ts, attempts = 0 returning job_nid`.execute(tx.sql)
  return rows[0]!.job_nid
}

/** Acquires leases on due jobs without a lease, oldest first; `only`: this one or none. */
export async function leaseJobs(
  tx: Tx,
  { holder, now, until, limit, only }: Lease & { limit: number; only?: number | undefined },
): Promise<JobRow[]> {
  const { rows } = await sql<JobRow>`update jobs set leased_by = ${holder}, leased_until = ${until}::bigint
    where job_nid in (select job_nid from jobs where due_ts <= ${now}::bigint and leased_until <= ${now}::bigint
      ${only === undefined ? sql`` : sql`and job_nid = ${only}::bigint`}
      order by due_ts limit ${limit}::int for update skip locked) returning *`.execute(tx.sql)
  return rows
}

/** Renews the leases of a process's running jobs to `until`. */
export async function renewJobLeases(
  tx: Tx,
  { holder, until, jobNids }: { holder: string; until: number; jobNids: readonly number[] },
): Promise<void> {
  await sql`update jobs set leased_until = ${until}::bigint
    where leased_by = ${holder} and job_nid = any(${jobNids}::bigint[])`.execute(tx.sql)
}

/** Deletes a finished job. One that was enqueued again in the meantime stays, without a lease. */
export async function finishJob(tx: Tx, { job_nid, version, leased_by }: JobRow): Promise<void> {
  const isOurs = sql`job_nid = ${job_nid}::bigint and leased_by = ${leased_by}`
  const { numAffectedRows } = await sql`delete from jobs where ${isOurs} and version = ${version}::int`.execute(tx.sql)
  if (numAffectedRows === 1n) return
  await sql`update jobs set leased_by = null, leased_until = 0 where ${isOurs}`.execute(tx.sql)
}

/** Postpones a job to `dueTs`, because more work is due then. */
export async function postponeJob(tx: Tx, { job_nid, leased_by }: JobRow, dueTs: number): Promise<void> {
  await sql`update jobs set leased_by = null, leased_until = 0, attempts = 0, due_ts = ${dueTs}::bigint
    where job_nid = ${job_nid}::bigint and leased_by = ${leased_by}`.execute(tx.sql)
}

/** Releases the lease of an unfinished job; `failedUntil`: it failed, and its back-off ends then. */
export async function releaseJob(tx: Tx, { job_nid, leased_by }: JobRow, failedUntil?: number): Promise<void> {
  const failure = failedUntil === undefined ? sql`` : sql`, attempts = attempts + 1, due_ts = ${failedUntil}::bigint`
  await sql`update jobs set leased_by = null, leased_until = 0 ${failure}
    where job_nid = ${job_nid}::bigint and leased_by = ${leased_by}`.execute(tx.sql)
}

/** Postpones a job that has not begun, because the process that requested it does its work. */
export async function delayJob(tx: Tx, jobNid: number, dueTs: number): Promise<void> {
  await sql`update jobs set due_ts = ${dueTs}::bigint where job_nid = ${jobNid}::bigint
    and leased_by is null`.execute(tx.sql)
}

/** Deletes a job that is no longer needed, unless a process runs it. */
export async function withdrawJob(tx: Tx, jobNid: number): Promise<void> {
  await sql`delete from jobs where job_nid = ${jobNid}::bigint and leased_by is null`.execute(tx.sql)
}

/** Whether a job waits or runs. */
export async function isJobPending(db: Db, jobNid: number): Promise<boolean> {
  const { rows } = await sql`select 1 from jobs where job_nid = ${jobNid}::bigint`.execute(db.sql)
  return rows.length > 0
}
