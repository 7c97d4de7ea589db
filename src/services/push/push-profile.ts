import type { UserId } from '../../core/ids.ts'
import { type CompiledRuleset, compiledDefaultRuleset, compileRuleset } from '../../core/push-rules/compile-ruleset.ts'
import { effectiveRuleset } from '../../core/push-rules/effective-ruleset.ts'
import type { InvitePermission } from '../../core/rooms/invite-permission.ts'
import { createStreamCache } from '../../infra/stream-cache.ts'
import type { StreamTail } from '../../infra/stream-tail.ts'
import type { Db } from '../../storage/engine/database.ts'
import { loadPushRuleOverlays } from '../../storage/push/push-rules.ts'
import type { StreamRow } from '../../storage/schema/stream.ts'
import { loadIgnoredUsers } from '../../storage/users/ignored-users.ts'
import { INVITE_PERMISSION_TYPES, loadInvitePermission } from '../../storage/users/invite-permissions.ts'

/** The settings of a user that determine notifications. */
export type PushProfile = { rules: CompiledRuleset; ignored: ReadonlySet<string>; permission: InvitePermission }

type Reading = { database: Db; stream: StreamTail }

const KEPT_USERS = 20_000
const PARTS: readonly (string | null)[] = ['m.push_rules', 'm.ignored_user_list', ...INVITE_PERMISSION_TYPES]

/** Returns a user's compiled push rules, ignored users and invite permission. Cached until one of them changes. */
export type PushProfiles = (userId: UserId) => Promise<PushProfile>

export function createPushProfiles({ database, stream }: Reading): PushProfiles {
  const cache = createStreamCache<PushProfile>(stream, {
    max: KEPT_USERS,
    sizeOf: () => 1,
    changedBy: (row: StreamRow) =>
      row.kind === 'account_data' && row.room_id === null && PARTS.includes(row.detail)
        ? (row.user_id ?? undefined)
        : undefined,
    dependsOn: (userId) => [userId],
  })
  return async (userId) => {
    const kept = cache.get(userId)
    if (kept) return kept
    const readAt = stream.position()
    const profile = await loadProfile(database, userId)
    cache.set(userId, profile, readAt)
    return profile
  }
}

async function loadProfile(db: Db, userId: UserId): Promise<PushProfile> {
  const [overlays, ignored, permission] = await Promise.all([
    loadPushRuleOverlays(db, [userId]),
    loadIgnoredUsers(db, userId),
    loadInvitePermission(db, userId),
  ])
  const overlay = overlays.get(userId)
  const rules = overlay ? compileRuleset(effectiveRuleset(userId, overlay), userId) : compiledDefaultRuleset
  return { rules, ignored, permission }
}
