import { sql } from 'kysely'
import type { Tx } from '../engine/database.ts'

/** Numbers that the import uses: all later ones are greater. */
type UsedNumbers = { nid: number; position: number; activity: number }

/** Lets the sequences continue above the numbers that come from the source. */
export async function continueNumbers(tx: Tx, { nid, position, activity }: UsedNumbers): Promise<void> {
  await sql`select setval('nids', ${nid}::bigint + 1), setval('stream_positions', ${position}::bigint + 1),
    setval('room_activity', ${activity}::bigint + 1)`.execute(tx.sql)
}

/**
 * Lets the followers of the stream begin after the imported events, which have been pushed and sent already. Search
 * follows it from the start.
 */
export async function passImportedEvents(tx: Tx, position: number): Promise<void> {
  await sql`update push_progress set stream_position = ${position}::bigint`.execute(tx.sql)
  await sql`update federation_progress set stream_position = ${position}::bigint`.execute(tx.sql)
}
