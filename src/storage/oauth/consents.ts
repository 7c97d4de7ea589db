import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Tx } from '../engine/database.ts'

/** Deletes what a user has consented to and no client has used yet: codes, and approvals of devices. */
export async function deleteUnusedConsents(tx: Tx, userId: UserId): Promise<void> {
  await sql`delete from oauth_requests where user_id = ${userId} and exchanged_ts is null`.execute(tx.sql)
  await sql`delete from oauth_device_grants where user_id = ${userId} and granted_scope is not null`.execute(tx.sql)
}
