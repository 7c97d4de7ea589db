import { type Kysely, sql } from 'kysely'
import type { NewStreamRow, StreamKind } from '../schema/stream.ts'
import type { Tables } from '../schema/tables.ts'
import type { Tx } from './database.ts'

/** Adds a row to the stream; it gets its position when the transaction commits (storage/engine/make-write.ts). */
export function appendToStream(tx: Tx, row: { kind: StreamKind } & Partial<NewStreamRow>): void {
  tx.streamRows.push({ room_id: null, user_id: null, ref: null, detail: null, ...row })
}

/**
 * Writes the rows and returns the position of the last one; undefined if there are none. This is the transaction's last
 * write: it holds the stream lock until the commit. Invariant: when position n is visible, all lower positions that
 * will ever exist are visible.
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
