import { type Kysely, sql } from 'kysely'
import type { NewStreamRow, StreamKind } from '../schema/stream.ts'
import type { Tables } from '../schema/tables.ts'
import type { Tx } from './database.ts'

/** Notes that something happened; the row gets its position when the transaction commits (storage/engine/make-write.ts). */
export function appendToStream(tx: Tx, row: { kind: StreamKind } & Partial<NewStreamRow>): void {
  tx.streamRows.push({ room_id: null, user_id: null, ref: null, detail: null, ...row })
}

/**
 * Writes the rows and returns the position of the last one; undefined when there are none. The transaction's last write: from here until the commit the
 * stream lock is held. Invariant of the lock: when position n can be seen, all positions below it that will ever exist can be seen.
 */
export async function appendStreamRows(
  transaction: Kysely<Tables>,
  rows: readonly NewStreamRow[],
): Promise<number | undefined> {
  if (rows.length === 0) return undefined
  const result = await sql<{ position: number }>`select append_to_stream(
    ${rows.map((row) => row.kind)}::text[], ${rows.map((row) => row.room_id)}::text[], ${rows.map((row) => row.user_id)}::text[],
    ${rows.map((row) => row.ref)}::bigint[], ${rows.map((row) => row.detail)}::text[]) as position`.execute(transaction)
  return result.rows[0]!.position
}
