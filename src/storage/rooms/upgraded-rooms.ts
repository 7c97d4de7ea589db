import { sql } from 'kysely'
import type { RoomId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { moveAliases } from './aliases.ts'

/** Whether a room's tombstone names another as its replacement. */
export async function isReplacedBy(db: Db, roomId: RoomId, replacement: RoomId): Promise<boolean> {
  const { rows } = await sql`select 1 from rooms where room_id = ${roomId} and tombstone = ${replacement}`.execute(
    db.sql,
  )
  return rows.length > 0
}

/** Moves this server's aliases of a room, and its directory entry, to another room. Does nothing if there are none. */
export async function movePublication(tx: Tx, from: RoomId, to: RoomId): Promise<void> {
  await moveAliases(tx, from, to)
  const listed = await sql`update rooms set in_directory = false where room_id = ${from} and in_directory`.execute(
    tx.sql,
  )
  if ((listed.numAffectedRows ?? 0n) === 0n) return
  await tx.sql.updateTable('rooms').set({ in_directory: true }).where('room_id', '=', to).execute()
}
