import { sql } from 'kysely'
import type { EventId, UserId } from '../core/ids.ts'
import type { Db } from './database.ts'

/** The events by which a user annotated another event with events of one type, and that are not redacted. */
export async function findAnnotations(
  db: Db,
  { parent, sender, type }: { parent: EventId; sender: UserId; type: string },
): Promise<number[]> {
  const { rows } = await sql<{ event_nid: number }>`select event_nid from events where relates_to = ${parent}
    and rel_type = 'm.annotation' and sender = ${sender} and type = ${type}`.execute(db.sql)
  return rows.map((row) => row.event_nid)
}
