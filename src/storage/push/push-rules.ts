import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import { emptyOverlay, type PushRuleOverlay } from '../../core/push-rules/rule-schema.ts'
import type { Db, Tx } from '../engine/database.ts'
import { appendToStream } from '../engine/stream-append.ts'

/** What a user changed about the push rules. */
export async function loadPushRuleOverlay(db: Db, userId: UserId): Promise<PushRuleOverlay> {
  return (await loadPushRuleOverlays(db, [userId])).get(userId) ?? emptyOverlay
}

/** What several users changed about the push rules, in one query; users who changed nothing are absent. */
export async function loadPushRuleOverlays(db: Db, userIds: readonly UserId[]): Promise<Map<UserId, PushRuleOverlay>> {
  const { rows } = await sql<{ user_id: UserId; overlay: string }>`select user_id, overlay from push_rules
    where user_id = any(${userIds}::text[])`.execute(db.sql)
  return new Map(rows.map((row) => [row.user_id, JSON.parse(row.overlay)]))
}

/** Replaces what a user changed about the push rules, and tells the user's devices. */
export async function storePushRuleOverlay(tx: Tx, userId: UserId, overlay: PushRuleOverlay): Promise<void> {
  await sql`insert into push_rules (user_id, overlay) values (${userId}, ${JSON.stringify(overlay)})
    on conflict (user_id) do update set overlay = excluded.overlay`.execute(tx.sql)
  appendToStream(tx, { kind: 'account_data', user_id: userId, detail: 'm.push_rules' })
}

/** Forgets a user's push rules; for accounts that end. */
export async function deletePushRules(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('push_rules').where('user_id', '=', userId).execute()
}
