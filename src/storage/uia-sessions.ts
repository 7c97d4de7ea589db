import { sql } from 'kysely'
import type { Db, Tx } from './database.ts'
import type { UiaSessionRow } from './users-schema.ts'

/** User-interactive authentication under way. */
export type UiaSession = {
  sessionId: string
  operation: string
  body: Record<string, unknown>
  /** What each completed stage found out, by stage type. */
  completed: Record<string, string>
  expiresTs: number
}

/** Stores a session as it is now, with what others have completed of it at the same time; those that have expired by `now` go. */
export async function saveUiaSession(tx: Tx, session: UiaSession, now: number): Promise<void> {
  await sql`delete from uia_sessions where expires_ts <= ${now}::bigint`.execute(tx.sql)
  await sql`insert into uia_sessions (session_id, operation, body, completed, expires_ts)
    values (${session.sessionId}, ${session.operation}, ${JSON.stringify(session.body)},
      ${JSON.stringify(session.completed)}, ${session.expiresTs}::bigint)
    on conflict (session_id) do update
      set completed = (uia_sessions.completed::jsonb || excluded.completed::jsonb)::text`.execute(tx.sql)
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
      body: JSON.parse(row.body),
      completed: JSON.parse(row.completed),
      expiresTs: row.expires_ts,
    }
  )
}

/** Ends a session; false when it was not there: somebody else has used it up. */
export async function deleteUiaSession(tx: Tx, sessionId: string): Promise<boolean> {
  const result = await sql`delete from uia_sessions where session_id = ${sessionId}`.execute(tx.sql)
  return result.numAffectedRows === 1n
}
