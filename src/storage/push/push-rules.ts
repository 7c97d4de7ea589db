import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import { emptyOverlay, type PushRuleOverlay } from '../../core/push-rules/rule-schema.ts'
import type { Db, Tx } from '../engine/database.ts'
import { appendToStream } from '../engine/stream-append.ts'

/** Returns a user's changes to the push rules. */
export async function loadPushRuleOverlay(db: Db, userId: UserId): Promise<PushRuleOverlay> {
  return (await loadPushRuleOverlays(db, [userId])).get(userId) ?? emptyOverlay
}

/** Returns several users' changes to the push rules, in one query; users without changes are absent. */
export async function loadPushRuleOverlays(db: Db, userIds: readonly UserId[]): Promise<Map<UserId, PushRuleOverlay>> {
  const { rows } = await sql<{ user_id: UserId; overlay: string }>`select user_id, overlay from push_rules
    where user_id = any(${userIds}::text[])`.execute(db.sql)
  return new Map(rows.map((row) => [row.user_id, JSON.parse(row.overlay)]))
}

/** Replaces a user's changes to the push rules, and notifies the user's devices. */
export async function storePushRuleOverlay(tx: Tx, userId: UserId, overlay: PushRuleOverlay): Promise<void> {
  await sql`insert into push_rules (user_id, overlay) values (${userId}, ${JSON.stringify(overlay)})
    on conflict (user_id) do update set overlay = excluded.overlay`.execute(tx.sql)
  appendToStream(tx, { kind: 'account_data', user_id: userId, detail: 'm.push_rules' })
}

/** Deletes a user's push rules, when the account is deactivated. */
export async function deletePushRules(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('push_rules').where('user_id', '=', userId).execute()
}
