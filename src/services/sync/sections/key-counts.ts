import type { DeviceId, UserId } from '../../../core/ids.ts'
import { loadUnusedFallbackKeyTypes } from '../../../storage/devices/fallback-keys.ts'
import { countOneTimeKeys } from '../../../storage/devices/one-time-keys.ts'
import type { Db } from '../../../storage/engine/database.ts'
import type { DeviceKey } from '../../../storage/schema/users.ts'
import { type CacheSources, cacheLoads } from '../answers/cache-loads.ts'

/**
 * The key counts of a device in /sync.
 * https://spec.matrix.org/v1.19/client-server-api/#e2e-extensions-to-sync
 */
export type KeyCounts = {
  device_one_time_keys_count: Record<string, number>
  device_unused_fallback_key_types: string[]
}

const NONE: KeyCounts = { device_one_time_keys_count: {}, device_unused_fallback_key_types: [] }

/** Returns the remaining keys of a device. */
export type KeyCountsOf = (device: { userId: UserId; deviceId: DeviceId | null }) => Promise<KeyCounts>

export function createKeyCounts(sources: CacheSources): KeyCountsOf {
  const countsOf = cacheLoads(sources, {
    load: loadCounts,
    placeOf: ({ userId, deviceId }: DeviceKey) => `${userId} ${deviceId}`,
    changedBy: ({ kind, user_id, detail }) => (kind === 'one_time_keys' ? `${user_id} ${detail}` : undefined),
  })
  return async ({ userId, deviceId }) => (deviceId === null ? NONE : countsOf({ userId, deviceId }))
}

async function loadCounts(db: Db, device: DeviceKey): Promise<KeyCounts> {
  const [counts, fallbackTypes] = await Promise.all([
    countOneTimeKeys(db, device),
    loadUnusedFallbackKeyTypes(db, device),
  ])
  // Some clients treat an absent algorithm as unknown.
  return {
    device_one_time_keys_count: { signed_curve25519: 0, ...counts },
    device_unused_fallback_key_types: fallbackTypes,
  }
}
