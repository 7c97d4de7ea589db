import type { App } from '../../app.ts'
import type { Json } from '../../core/events/pdu.ts'
import { serverNameOf } from '../../core/ids.ts'
import { useFallbackKeys } from '../../storage/fallback-keys.ts'
import { type ClaimedKey, type KeyClaim, takeOneTimeKeys } from '../../storage/one-time-keys.ts'
import { unreachableServers } from './unreachable-servers.ts'

/** By user id, device id and `<algorithm>:<key_id>`. */
type ClaimedKeys = Record<string, Record<string, Record<string, Json>>>

/**
 * Gives out a key for each claim: a one-time key, which nobody else will get, or else the device's fallback key. Claims that neither can serve
 * are left out. https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysclaim
 */
export async function claimKeys(
  app: Pick<App, 'database' | 'serverName'>,
  claims: readonly KeyClaim[],
): Promise<{ failures: Record<string, object>; one_time_keys: ClaimedKeys }> {
  const local = claims.filter((claim) => serverNameOf(claim.user_id) === app.serverName)
  const keys = local.length > 0 ? await takeKeys(app, local) : []
  const failures = unreachableServers(
    app,
    claims.map((claim) => claim.user_id),
  )
  return { failures, one_time_keys: claimedKeys(keys) }
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
