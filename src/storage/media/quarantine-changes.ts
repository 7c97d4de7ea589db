import { sql } from 'kysely'
import type { MediaName } from '../../core/content-uri.ts'
import type { ServerName } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { appendToStream } from '../engine/stream-append.ts'

/** Appends to the stream that media are quarantined, or no longer are. */
export function appendQuarantineChanges(tx: Tx, names: readonly MediaName[], isQuarantined: boolean): void {
  for (const { serverName, mediaId } of names)
    appendToStream(tx, { kind: 'media_quarantine', detail: JSON.stringify([serverName, mediaId, isQuarantined]) })
}

/** A change of the quarantine, and its position in the stream. */
export type QuarantineChange = MediaName & { isQuarantined: boolean; position: number }

/** Returns changes after a position, oldest first, and the end of the stream. */
export async function listQuarantineChanges(
  db: Db,
  { from, limit }: { from: number; limit: number },
): Promise<{ changes: QuarantineChange[]; end: number }> {
  // First the end: rows that are appended in between have positions beyond it, and come with the next page.
  const last = await sql<{ end: number }>`select coalesce(max(stream_position), 0) as end from stream`.execute(db.sql)
  const { end } = last.rows[0]!
  const { rows } = await sql<{ stream_position: number; detail: string }>`select stream_position, detail from stream
    where kind = 'media_quarantine' and stream_position > ${from}::bigint and stream_position <= ${end}::bigint
    order by stream_position limit ${limit}::int`.execute(db.sql)
  const changes = rows.map(({ stream_position: position, detail }) => {
    const [serverName, mediaId, isQuarantined] = JSON.parse(detail) as [ServerName, string, boolean]
    return { serverName, mediaId, isQuarantined, position }
  })
  return { changes, end }
}
