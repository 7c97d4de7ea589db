import { sql } from 'kysely'
import type { ServerName } from '../../core/ids.ts'
import type { Tx } from '../engine/database.ts'

/** Records a message of another server; false if it was received before. */
export async function claimReceivedMessage(
  tx: Tx,
  { origin, messageId, now }: { origin: ServerName; messageId: string; now: number },
): Promise<boolean> {
  const result = await sql`insert into received_messages (origin, message_id, received_ts)
    values (${origin}, ${messageId}, ${now}::bigint) on conflict do nothing`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/** Deletes records from before `before` (milliseconds since 1970). */
export async function deleteReceivedMessages(tx: Tx, before: number): Promise<void> {
  await tx.sql.deleteFrom('received_messages').where('received_ts', '<', before).execute()
}
