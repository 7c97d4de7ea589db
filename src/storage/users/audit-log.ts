import { sql } from 'kysely'
import type { Db, Tx } from '../engine/database.ts'
import type { AuditRow } from '../schema/administration.ts'

export type NewAuditEntry = Omit<AuditRow, 'entry_nid'>

/** Adds an entry to the audit log. */
export async function insertAuditEntry(tx: Tx, entry: NewAuditEntry): Promise<void> {
  const { acted_ts, actor, action, target, details, address } = entry
  await sql`insert into audit_log (acted_ts, actor, action, target, details, address)
    values (${acted_ts}::bigint, ${actor}, ${action}, ${target}, ${details}, ${address})`.execute(tx.sql)
}

/** Deletes the entries from before a time. */
export async function deleteAuditEntries(tx: Tx, before: number): Promise<void> {
  await sql`delete from audit_log where acted_ts < ${before}::bigint`.execute(tx.sql)
}

/** Entries of the audit log; null: any. `beyond`: the last entry of the page before; null: the first page. */
export type AuditQuery = {
  actor: string | null
  target: string | null
  since: number
  newestFirst: boolean
  beyond: number | null
  limit: number
}

/** Returns a page of the audit log. */
export async function listAuditEntries(
  db: Db,
  { actor, target, since, newestFirst, beyond, limit }: AuditQuery,
): Promise<AuditRow[]> {
  const page = newestFirst
    ? sql`entry_nid < ${beyond ?? Number.MAX_SAFE_INTEGER}::bigint order by entry_nid desc`
    : sql`entry_nid > ${beyond ?? 0}::bigint order by entry_nid`
  const { rows } = await sql<AuditRow>`select * from audit_log where acted_ts >= ${since}::bigint
    ${actor === null ? sql`` : sql`and actor = ${actor}`} ${target === null ? sql`` : sql`and target = ${target}`}
    and ${page} limit ${limit}::int`.execute(db.sql)
  return rows
}
