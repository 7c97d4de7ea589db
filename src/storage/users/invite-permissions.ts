import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import {
  allowAllInvites,
  compileInvitePermission,
  type InvitePermission,
  type InvitePermissionConfigs,
} from '../../core/rooms/invite-permission.ts'
import type { Db } from '../engine/database.ts'

/** Account data types with invite permissions; others than these are not read. */
export const INVITE_PERMISSION_TYPES = ['m.invite_permission_config', 'org.matrix.msc4155.invite_permission_config']

/** Returns the invite permissions of users who have set them. */
export async function loadInvitePermissions(
  db: Db,
  userIds: readonly UserId[],
): Promise<ReadonlyMap<UserId, InvitePermission>> {
  if (userIds.length === 0) return new Map()
  const { rows } = await sql<{ user_id: UserId; type: string; content: string }>`select user_id, type, content
    from account_data where user_id = any(${userIds}::text[]) and room_id = ''
      and type = any(${INVITE_PERMISSION_TYPES}::text[])`.execute(db.sql)
  const configs = new Map<UserId, InvitePermissionConfigs>()
  for (const { user_id, type, content } of rows) {
    const part = type === INVITE_PERMISSION_TYPES[0] ? 'permission' : 'filter'
    configs.set(user_id, { ...configs.get(user_id), [part]: JSON.parse(content) })
  }
  return new Map([...configs].map(([userId, config]) => [userId, compileInvitePermission(config)]))
}

/** Returns the invite permission of one user. */
export async function loadInvitePermission(db: Db, userId: UserId): Promise<InvitePermission> {
  return (await loadInvitePermissions(db, [userId])).get(userId) ?? allowAllInvites
}
