import type { App } from '../../app.ts'
import { requireCount } from '../../core/limits.ts'
import type { Json } from '../../core/pdu.ts'
import { useFallbackKeys } from '../../storage/devices/fallback-keys.ts'
import { type ClaimedKey, type KeyClaim, takeOneTimeKeys } from '../../storage/devices/one-time-keys.ts'

/** By user id, device id and `<algorithm>:<key_id>`. */
export type ClaimedKeys = Record<string, Record<string, Record<string, Json>>>

/**
 * Claims a key of a local user's device for each claim: a one-time key, which is then deleted, or else the fallback
 * key. Claims for which there is neither are left out.
 */
export async function claimLocalKeys(app: Pick<App, 'database'>, claims: readonly KeyClaim[]): Promise<ClaimedKeys> {
  return claims.length > 0 ? claimedKeys(await takeKeys(app, claims)) : {}
}

async function takeKeys(app: Pick<App, 'database'>, claims: readonly KeyClaim[]): Promise<ClaimedKey[]> {
  return app.database.write(async (tx) => {
    const taken = await takeOneTimeKeys(tx, claims)
    const served = new Set(taken.map(placeOf))
    const fallback = await useFallbackKeys(
      tx,
      claims.filter((claim) => !served.has(placeOf(claim))),
    )
    return [...taken, ...fallback]
  })
}

function placeOf({ user_id, device_id, algorithm }: KeyClaim): string {
  return JSON.stringify([user_id, device_id, algorithm])
}

function claimedKeys(keys: readonly ClaimedKey[]): ClaimedKeys {
  return byUserAndDevice(keys, (ofDevice) =>
    Object.fromEntries(
      ofDevice.map(({ algorithm, key_id, key_json }) => [`${algorithm}:${key_id}`, JSON.parse(key_json)]),
    ),
  )
}

/** Throws TooLargeError if a request has too many claims: each is a query and takes locks. */
export function requireFewClaims({ config }: Pick<App, 'config'>, claims: readonly KeyClaim[]): void {
  requireCount(config.limits, 'key_claims', claims.length)
}

/** Groups by user ID and device ID in linear time. */
export function byUserAndDevice<Entry extends Pick<KeyClaim, 'user_id' | 'device_id'>, Held>(
  entries: readonly Entry[],
  heldOf: (ofDevice: readonly Entry[]) => Held,
): Record<string, Record<string, Held>> {
  const users = [...Map.groupBy(entries, ({ user_id }) => user_id)].map(([userId, ofUser]) => {
    const devices = [...Map.groupBy(ofUser, ({ device_id }) => device_id)]
    return [userId, Object.fromEntries(devices.map(([deviceId, ofDevice]) => [deviceId, heldOf(ofDevice)]))] as const
  })
  return Object.fromEntries(users)
}
