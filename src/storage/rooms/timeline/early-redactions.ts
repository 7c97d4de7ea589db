import { sql } from 'kysely'
import type { EventId, RoomId } from '../../../core/ids.ts'
import type { Db, Tx } from '../../engine/database.ts'

/** The job that applies redactions that arrived before their event. */
export const APPLY_EARLY_REDACTIONS = 'apply_early_redactions'

type EarlyRedaction = { redacts: EventId; event_id: EventId }

/** Stores a redaction of an event that has not arrived. */
export async function noteEarlyRedaction(
  tx: Tx,
  { redacts, event_id, room_id }: EarlyRedaction & { room_id: RoomId },
): Promise<void> {
  await sql`insert into early_redactions (redacts, event_id, room_id) values (${redacts}, ${event_id}, ${room_id})
    on conflict do nothing`.execute(tx.sql)
}

/** Returns the redactions of an event that arrived before it. */
export async function findEarlyRedactions(db: Db, eventId: EventId): Promise<EventId[]> {
  const { rows } = await sql<{ event_id: EventId }>`select event_id from early_redactions
    where redacts = ${eventId} order by event_id`.execute(db.sql)
  return rows.map((row) => row.event_id)
}

/** Returns which of some events have redactions that arrived before them. */
export async function filterEarlyRedacted(db: Db, eventIds: readonly EventId[]): Promise<EventId[]> {
  const { rows } = await sql<{ redacts: EventId }>`select distinct redacts from early_redactions
    where redacts = any(${eventIds}::text[])`.execute(db.sql)
  return rows.map((row) => row.redacts)
}

/** Deletes the record of a redaction that was applied. */
export async function forgetEarlyRedaction(tx: Tx, { redacts, event_id }: EarlyRedaction): Promise<void> {
  await sql`delete from early_redactions where redacts = ${redacts} and event_id = ${event_id}`.execute(tx.sql)
}
