import type { UserId } from '../../core/ids.ts'
import { type CompiledRuleset, compiledDefaultRuleset, compileRuleset } from '../../core/push-rules/compile-ruleset.ts'
import { effectiveRuleset } from '../../core/push-rules/effective-ruleset.ts'
import type { InvitePermission } from '../../core/rooms/invite-permission.ts'
import { createStreamCache, type StreamCache } from '../../infra/stream-cache.ts'
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
const caches = new WeakMap<StreamTail, StreamCache<PushProfile>>()

/** Returns a user's compiled push rules, ignored users and invite permission. Cached until one of them changes. */
export async function pushProfileOf(app: Reading, userId: UserId): Promise<PushProfile> {
  const cache = cacheOf(app)
  const kept = cache.get(userId)
  if (kept) return kept
  const readAt = app.stream.position()
  const [overlays, ignored, permission] = await Promise.all([
    loadPushRuleOverlays(app.database, [userId]),
    loadIgnoredUsers(app.database, userId),
    loadInvitePermission(app.database, userId),
  ])
  const overlay = overlays.get(userId)
  const rules = overlay ? compileRuleset(effectiveRuleset(userId, overlay), userId) : compiledDefaultRuleset
  const profile = { rules, ignored, permission }
  cache.set(userId, profile, readAt)
  return profile
}

function cacheOf({ stream }: Reading): StreamCache<PushProfile> {
  const known = caches.get(stream)
  if (known) return known
  const made = createStreamCache<PushProfile>(stream, {
    max: KEPT_USERS,
    sizeOf: () => 1,
    changedBy: (row: StreamRow) =>
      row.kind === 'account_data' && row.room_id === null && PARTS.includes(row.detail)
        ? (row.user_id ?? undefined)
        : undefined,
    dependsOn: (userId) => [userId],
  })
  caches.set(stream, made)
  return made
}
