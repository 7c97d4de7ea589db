import { sql } from 'kysely'
import type { UserId } from '../core/ids.ts'
import type { Db } from './database.ts'

/** Those of some users who want no invites at all. https://spec.matrix.org/v1.19/client-server-api/#invite-permission */
export async function loadInviteBlockers(db: Db, userIds: readonly UserId[]): Promise<Set<UserId>> {
  if (userIds.length === 0) return new Set()
  const { rows } = await sql<{ user_id: UserId; content: string }>`select user_id, content from account_data
    where user_id = any(${userIds}::text[]) and room_id = '' and type = 'm.invite_permission_config'`.execute(db.sql)
  return new Set(rows.filter((row) => blocks(JSON.parse(row.content))).map((row) => row.user_id))
}

/** Clients may have stored anything. */
function blocks(content: unknown): boolean {
  return (content as { default_action?: unknown } | null)?.default_action === 'block'
}
