import { sql } from 'kysely'
import type { Db, Tx } from '../engine/database.ts'
import type { RendezvousRow } from '../schema/rendezvous.ts'

/** The number of sessions of some kind, and when the first of them expires. */
export type RendezvousCount = { count: number; expires: number }

/**
 * Counts the sessions of a creator, of a network, and in total: of users, or of clients without an account. Deletes
 * expired ones first. Locks the creation of sessions until the transaction ends, so that the limits hold.
 */
export async function countRendezvous(
  tx: Tx,
  { creator, network }: Pick<RendezvousRow, 'creator' | 'network'>,
  now: number,
): Promise<Record<'own' | 'network' | 'all', RendezvousCount>> {
  await sql`select pg_advisory_xact_lock(hashtext('rendezvous_sessions'))`.execute(tx.sql)
  await tx.sql.deleteFrom('rendezvous_sessions').where('expires_ts', '<=', now).execute()
  const { rows } = await sql<Record<`${'own' | 'network' | 'all'}_${'count' | 'expires'}`, number | null>>`
    select count(*)::int as all_count, min(expires_ts) as all_expires,
      (count(*) filter (where creator = ${creator}))::int as own_count,
      min(expires_ts) filter (where creator = ${creator}) as own_expires,
      (count(*) filter (where network = ${network}::text))::int as network_count,
      min(expires_ts) filter (where network = ${network}::text) as network_expires
    from rendezvous_sessions where (network is null) = (${network}::text is null)`.execute(tx.sql)
  const row = rows[0]!
  return {
    own: { count: row.own_count!, expires: row.own_expires ?? now },
    network: { count: row.network_count!, expires: row.network_expires ?? now },
    all: { count: row.all_count!, expires: row.all_expires ?? now },
  }
}

export async function insertRendezvous(tx: Tx, session: RendezvousRow): Promise<void> {
  await tx.sql.insertInto('rendezvous_sessions').values(session).execute()
}

/** Returns a session that has not expired. */
export async function findRendezvous(db: Db, sessionId: string, now: number): Promise<RendezvousRow | undefined> {
  const { rows } = await sql<RendezvousRow>`select * from rendezvous_sessions
    where session_id = ${sessionId} and expires_ts > ${now}::bigint`.execute(db.sql)
  return rows[0]
}

/** Returns the same, and locks it until the transaction ends. */
export async function lockRendezvous(tx: Tx, sessionId: string, now: number): Promise<RendezvousRow | undefined> {
  const { rows } = await sql<RendezvousRow>`select * from rendezvous_sessions
    where session_id = ${sessionId} and expires_ts > ${now}::bigint for update`.execute(tx.sql)
  return rows[0]
}

export type RendezvousContent = Pick<RendezvousRow, 'content' | 'content_type' | 'sequence_token' | 'changed_ts'>

export async function updateRendezvous(tx: Tx, sessionId: string, changed: RendezvousContent): Promise<void> {
  await sql`update rendezvous_sessions set content = ${changed.content}, content_type = ${changed.content_type},
      sequence_token = ${changed.sequence_token}, changed_ts = ${changed.changed_ts}::bigint
    where session_id = ${sessionId}`.execute(tx.sql)
}

/** Deletes a session; false if there was none. */
export async function deleteRendezvous(tx: Tx, sessionId: string, now: number): Promise<boolean> {
  const result = await sql`delete from rendezvous_sessions
    where session_id = ${sessionId} and expires_ts > ${now}::bigint`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/**
 * Returns the result of an earlier write with this id: its token, or null if it was refused; undefined: there was none.
 */
export async function findRendezvousWrite(
  db: Db,
  sessionId: string,
  txnId: string,
): Promise<string | null | undefined> {
  const { rows } = await sql<{ sequence_token: string | null }>`select sequence_token from rendezvous_transactions
    where session_id = ${sessionId} and txn_id = ${txnId}`.execute(db.sql)
  return rows[0]?.sequence_token
}

/** Stores the result of a write, and keeps as many earlier results of the session as fit: `kept`. */
export async function storeRendezvousWrite(
  tx: Tx,
  { sessionId, txnId, token, kept }: { sessionId: string; txnId: string; token: string | null; kept: number },
): Promise<void> {
  await sql`insert into rendezvous_transactions (session_id, txn_id, sequence_token)
    select ${sessionId}, ${txnId}, ${token}
    where (select count(*) from rendezvous_transactions where session_id = ${sessionId}) < ${kept}`.execute(tx.sql)
}
