import type { App } from '../../app.ts'
import type { Json } from '../../core/events/pdu.ts'
import { useFallbackKeys } from '../../storage/fallback-keys.ts'
import { type ClaimedKey, type KeyClaim, takeOneTimeKeys } from '../../storage/one-time-keys.ts'

/** By user id, device id and `<algorithm>:<key_id>`. */
export type ClaimedKeys = Record<string, Record<string, Record<string, Json>>>

/**
 * Gives out a key of users of this server for each claim: a one-time key, which nobody else will get, or else the device's fallback key.
 * Claims that neither can serve are left out.
 */
export async function claimOwnUsersKeys(app: Pick<App, 'database'>, claims: readonly KeyClaim[]): Promise<ClaimedKeys> {
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
  const result: ClaimedKeys = {}
  for (const { user_id, device_id, algorithm, key_id, key_json } of keys) {
    const ofUser = result[user_id]
    const ofDevice = { ...ofUser?.[device_id], [`${algorithm}:${key_id}`]: JSON.parse(key_json) }
    result[user_id] = { ...ofUser, [device_id]: ofDevice }
  }
  return result
}
