import { LRUCache } from 'lru-cache'
import type { App } from '../../app.ts'
import type { DeviceKey } from '../../storage/devices.ts'
import { loadUnusedFallbackKeyTypes } from '../../storage/fallback-keys.ts'
import { countOneTimeKeys } from '../../storage/one-time-keys.ts'
import type { SyncingDevice } from './to-device.ts'

/** What each answer of /sync says about a device's keys. https://spec.matrix.org/v1.19/client-server-api/#e2e-extensions-to-sync */
export type KeyCounts = {
  device_one_time_keys_count: Record<string, number>
  device_unused_fallback_key_types: string[]
}

type Counts = LRUCache<string, Promise<KeyCounts>>

const KEPT_DEVICES = 20_000
const NONE: KeyCounts = { device_one_time_keys_count: {}, device_unused_fallback_key_types: [] }
const countsOf = new WeakMap<App['stream'], Counts>()

/** The keys that a device has left. Every answer of every sync has them, so they are remembered until the stream says that they changed. */
export async function keyCounts(
  app: Pick<App, 'database' | 'stream'>,
  { userId, deviceId }: SyncingDevice,
): Promise<KeyCounts> {
  if (deviceId === null) return NONE
  const known = knownCounts(app)
  const place = placeOf(userId, deviceId)
  const remembered = known.get(place)
  if (remembered) return remembered
  // Remembered before it is read: news that come meanwhile make it forgotten.
  const counts = loadCounts(app, { userId, deviceId })
  known.set(place, counts)
  counts.catch(() => known.delete(place))
  return counts
}

function knownCounts(app: Pick<App, 'stream'>): Counts {
  const known = countsOf.get(app.stream)
  if (known) return known
  const made: Counts = new LRUCache({ max: KEPT_DEVICES })
  app.stream.subscribe((rows) => {
    for (const { kind, user_id, detail } of rows) {
      if (kind === 'one_time_keys' && user_id !== null && detail !== null) made.delete(placeOf(user_id, detail))
    }
  })
  countsOf.set(app.stream, made)
  return made
}

async function loadCounts(app: Pick<App, 'database'>, device: DeviceKey): Promise<KeyCounts> {
  const [counts, fallbackTypes] = await Promise.all([
    countOneTimeKeys(app.database, device),
    loadUnusedFallbackKeyTypes(app.database, device),
  ])
  // Some clients take an algorithm that is not listed for one whose count is unknown.
  return {
    device_one_time_keys_count: { signed_curve25519: 0, ...counts },
    device_unused_fallback_key_types: fallbackTypes,
  }
}

function placeOf(userId: string, deviceId: string): string {
  return `${userId} ${deviceId}`
}
