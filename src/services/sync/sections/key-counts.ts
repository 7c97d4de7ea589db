import type { App } from '../../../app.ts'
import { loadUnusedFallbackKeyTypes } from '../../../storage/devices/fallback-keys.ts'
import { countOneTimeKeys } from '../../../storage/devices/one-time-keys.ts'
import type { DeviceKey } from '../../../storage/schema/users.ts'
import { remembered } from './remembered.ts'
import type { SyncingDevice } from './to-device.ts'

/**
 * The key counts of a device in /sync.
 * https://spec.matrix.org/v1.19/client-server-api/#e2e-extensions-to-sync
 */
export type KeyCounts = {
  device_one_time_keys_count: Record<string, number>
  device_unused_fallback_key_types: string[]
}

const NONE: KeyCounts = { device_one_time_keys_count: {}, device_unused_fallback_key_types: [] }

/** Returns a device's key counts, which every response of every sync includes. */
export async function keyCounts(
  app: Pick<App, 'database' | 'stream'>,
  { userId, deviceId }: SyncingDevice,
): Promise<KeyCounts> {
  return deviceId === null ? NONE : countsOf(app, { userId, deviceId })
}

const countsOf = remembered({
  load: loadCounts,
  placeOf: ({ userId, deviceId }: DeviceKey) => `${userId} ${deviceId}`,
  changedBy: ({ kind, user_id, detail }) => (kind === 'one_time_keys' ? `${user_id} ${detail}` : undefined),
})

async function loadCounts(app: Pick<App, 'database'>, device: DeviceKey): Promise<KeyCounts> {
  const [counts, fallbackTypes] = await Promise.all([
    countOneTimeKeys(app.database, device),
    loadUnusedFallbackKeyTypes(app.database, device),
  ])
  // Some clients treat an absent algorithm as unknown.
  return {
    device_one_time_keys_count: { signed_curve25519: 0, ...counts },
    device_unused_fallback_key_types: fallbackTypes,
  }
}
