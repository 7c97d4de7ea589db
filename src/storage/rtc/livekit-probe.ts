import { sql } from 'kysely'
import type { Db, Tx } from '../engine/database.ts'

/** Records that the webhook of a room arrived that `hearth doctor --calls` created in LiveKit. */
export async function storeLivekitProbe(tx: Tx, room: string): Promise<void> {
  await sql`insert into livekit_probe (is_only, room) values (true, ${room})
    on conflict (is_only) do update set room = excluded.room`.execute(tx.sql)
}

/** Returns the room of the last such webhook; undefined if there was none. */
export async function findLivekitProbe(db: Db): Promise<string | undefined> {
  const { rows } = await sql<{ room: string }>`select room from livekit_probe where is_only`.execute(db.sql)
  return rows[0]?.room
}
