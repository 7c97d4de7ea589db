import { sql } from 'kysely'
import type { JsonObject } from '../../../core/pdu.ts'
import type { Db, Tx } from '../../engine/database.ts'

/** Returns the stripped state that came with a member event; undefined if the room is, or was then, on this server. */
export async function findStrippedState(db: Db, memberNid: number): Promise<JsonObject[] | undefined> {
  const { rows } = await sql<{ events: string }>`select events from stripped_states
    where event_nid = ${memberNid}::bigint`.execute(db.sql)
  return rows[0] && (JSON.parse(rows[0].events) as JsonObject[])
}

/** Stores the stripped state of a member event. */
export async function storeStrippedState(tx: Tx, memberNid: number, events: readonly JsonObject[]): Promise<void> {
  await sql`insert into stripped_states (event_nid, events) values (${memberNid}::bigint, ${JSON.stringify(events)})
    on conflict (event_nid) do update set events = excluded.events`.execute(tx.sql)
}
