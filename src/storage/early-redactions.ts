import { sql } from 'kysely'
import type { EventId } from '../core/ids.ts'
import type { Db, Tx } from './database.ts'

/** Remembers a redaction of an event that is not here yet. */
export async function noteEarlyRedaction(tx: Tx, row: { redacts: string; event_id: EventId }): Promise<void> {
  await sql`insert into early_redactions (redacts, event_id) values (${row.redacts}, ${row.event_id})
    on conflict do nothing`.execute(tx.sql)
}

/** The redactions of an event that were here before it. */
export async function findEarlyRedactions(db: Db, eventId: EventId): Promise<EventId[]> {
  const { rows } = await sql<{ event_id: EventId }>`select event_id from early_redactions
    where redacts = ${eventId} order by event_id`.execute(db.sql)
  return rows.map((row) => row.event_id)
}
