import { isUserId, type UserId } from '../../core/ids.ts'
import type { Db } from '../engine/database.ts'
import { findAccountData } from './account-data.ts'

/** Returns the users that a user ignores. https://spec.matrix.org/v1.19/client-server-api/#ignoring-users */
export async function loadIgnoredUsers(db: Db, userId: UserId): Promise<ReadonlySet<string>> {
  const content = await findAccountData(db, userId, { roomId: '', type: 'm.ignored_user_list' })
  return content === undefined ? NOBODY : ignoredIn(JSON.parse(content), userId)
}

const NOBODY: ReadonlySet<string> = new Set()

/** Clients may store anything: invalid user ids are skipped. Users cannot ignore themselves. */
function ignoredIn(content: { ignored_users?: unknown }, userId: UserId): ReadonlySet<string> {
  const { ignored_users } = content
  const named = typeof ignored_users === 'object' && ignored_users !== null ? Object.keys(ignored_users) : []
  const ignored = new Set<string>(named.filter(isUserId))
  ignored.delete(userId)
  return ignored
}
