import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { UiaSessionRow } from '../schema/users.ts'

/** A pending or finished session of user-interactive authentication. */
export type UiaSession = {
  sessionId: string
  operation: string
  /** The user; undefined until known. */
  userId: UserId | undefined
  /** The request, without `auth` and without the secret that it may contain. */
  body: Record<string, unknown>
  /** The hash of that secret. */
  secretHash: string | undefined
  /** The result of each completed stage, by stage type. */
  completed: Record<string, string>
  /** The result of the request; undefined until it was performed. */
  note: Record<string, unknown> | undefined
  expiresTs: number
}

/** The maximum number of sessions of a user; beyond it, the oldest ends. */
const MAX_OF_USER = 50

/**
 * Stores a session, merged with stages completed at the same time; deletes expired sessions and those beyond the limit.
 */
export async function saveUiaSession(tx: Tx, session: UiaSession, now: number): Promise<void> {
  await tx.sql.deleteFrom('uia_sessions').where('expires_ts', '<=', now).execute()
  await sql`insert into uia_sessions (session_id, operation, user_id, body, secret_hash, completed, expires_ts)
    values (${session.sessionId}, ${session.operation}, ${session.userId ?? null}, ${JSON.stringify(session.body)}, ${session.secretHash ?? null},
      ${JSON.stringify(session.completed)}, ${session.expiresTs}::bigint)
    on conflict (session_id) do update
      set completed = (uia_sessions.completed::jsonb || excluded.completed::jsonb)::text`.execute(tx.sql)
  if (session.userId === undefined) return
  await sql`delete from uia_sessions where session_id in (select session_id from uia_sessions
    where user_id = ${session.userId} order by expires_ts desc, session_id = ${session.sessionId} desc
    offset ${MAX_OF_USER}::int for update skip locked)`.execute(tx.sql)
}

/** Finds a session that has not expired. */
export async function findUiaSession(db: Db, sessionId: string, now: number): Promise<UiaSession | undefined> {
  const { rows } = await sql<UiaSessionRow>`select * from uia_sessions
    where session_id = ${sessionId} and expires_ts > ${now}::bigint`.execute(db.sql)
  const row = rows[0]
  return (
    row && {
      sessionId: row.session_id,
      operation: row.operation,
      userId: row.user_id ?? undefined,
      body: JSON.parse(row.body),
      secretHash: row.secret_hash ?? undefined,
      completed: JSON.parse(row.completed),
      note: row.note === null ? undefined : JSON.parse(row.note),
      expiresTs: row.expires_ts,
    }
  )
}

/** Claims a session to perform the request; false if another request claimed it. */
export async function claimUiaSession(tx: Tx, sessionId: string): Promise<boolean> {
  const result = await sql`update uia_sessions set claimed = true
    where session_id = ${sessionId} and not claimed`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/** Releases the session of a failed request. */
export async function releaseUiaSession(tx: Tx, sessionId: string): Promise<void> {
  await tx.sql.updateTable('uia_sessions').set({ claimed: false }).where('session_id', '=', sessionId).execute()
}

/** Stores the result of the request, and the request as it was performed. */
export async function finishUiaSession(tx: Tx, session: UiaSession): Promise<void> {
  await sql`update uia_sessions set body = ${JSON.stringify(session.body)}, secret_hash = ${session.secretHash ?? null},
      note = ${JSON.stringify(session.note)}, expires_ts = ${session.expiresTs}::bigint
    where session_id = ${session.sessionId}`.execute(tx.sql)
}
