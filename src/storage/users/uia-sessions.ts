import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { UiaSessionRow } from '../schema/users.ts'

/** User-interactive authentication that is under way or finished. */
export type UiaSession = {
  sessionId: string
  operation: string
  /** Who authenticates; undefined where that is not known yet. */
  userId: UserId | undefined
  /** The request, without `auth` and without the secret that it may hold. */
  body: Record<string, unknown>
  /** The hash of that secret. */
  secretHash: string | undefined
  /** What each completed stage found out, by stage type. */
  completed: Record<string, string>
  /** What came of the request; undefined until it was performed. */
  note: Record<string, unknown> | undefined
  expiresTs: number
}

/** Sessions of a user; of more, the oldest end. */
const MAX_OF_USER = 50

/** Stores a session as it is now, with what others have completed of it at the same time; those that have expired by `now` go, and those that a user has too many. */
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

/** Takes a session to perform the request; false when another request has it, or had it. */
export async function claimUiaSession(tx: Tx, sessionId: string): Promise<boolean> {
  const result = await sql`update uia_sessions set claimed = true
    where session_id = ${sessionId} and not claimed`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/** Gives a session back whose request failed. */
export async function releaseUiaSession(tx: Tx, sessionId: string): Promise<void> {
  await tx.sql.updateTable('uia_sessions').set({ claimed: false }).where('session_id', '=', sessionId).execute()
}

/** Notes what came of the request, and the request as it was performed. */
export async function finishUiaSession(tx: Tx, session: UiaSession): Promise<void> {
  await sql`update uia_sessions set body = ${JSON.stringify(session.body)}, secret_hash = ${session.secretHash ?? null},
      note = ${JSON.stringify(session.note)}, expires_ts = ${session.expiresTs}::bigint
    where session_id = ${session.sessionId}`.execute(tx.sql)
}
