import { z } from 'zod'
import type { App } from '../../app.ts'
import { type ServerName, serverNameOf } from '../../core/ids.ts'
import type { Json } from '../../core/pdu.ts'
import { FederationError } from '../../infra/federation/federation-error.ts'
import type { KeyClaim } from '../../storage/devices/one-time-keys.ts'
import { byUserAndDevice, type ClaimedKeys, claimLocalKeys, requireFewClaims } from '../devices/claim-local-keys.ts'
import { type Asking, askServers, type Failures } from '../federation/requests/ask-servers.ts'
import { keyTimeout, MAX_KEY_BYTES } from './query-keys.ts'

type AskingApp = Pick<App, 'database' | 'serverName' | 'federation' | 'clock' | 'config' | 'logger'>

/**
 * Claims a one-time or fallback key of a user of any server for each claim. Claims for which there is none are left
 * out. Servers that do not answer within `timeout` milliseconds are among the failures. Throws M_TOO_LARGE.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysclaim
 */
export async function claimKeys(
  app: AskingApp,
  claims: readonly KeyClaim[],
  timeout?: number | undefined,
): Promise<{ failures: Failures; one_time_keys: ClaimedKeys }> {
  requireFewClaims(app, claims)
  const byServer = Map.groupBy(claims, (claim) => serverNameOf(claim.user_id))
  const ours = byServer.get(app.serverName) ?? []
  byServer.delete(app.serverName)
  const timeoutMs = keyTimeout(timeout)
  const [own, { answers, failures }] = await Promise.all([
    claimLocalKeys(app, ours),
    askServers(app, { servers: byServer.keys(), timeoutMs }, (server, asking) =>
      askForKeys(app, server, { ...asking, claims: byServer.get(server) ?? [] }),
    ),
  ])
  return { failures, one_time_keys: Object.assign({}, own, ...answers) }
}

const signedKey = z.looseObject({
  key: z.string(),
  signatures: z.record(z.string(), z.record(z.string(), z.string())),
})
/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysclaim */
const oneTimeKey = z.union([z.string(), signedKey])

const answer = z.object({
  one_time_keys: z.record(z.string(), z.record(z.string(), z.record(z.string(), z.json()))),
})

/**
 * https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1userkeysclaim; only requested keys are passed
 * on.
 */
async function askForKeys(
  app: Pick<App, 'federation'>,
  destination: ServerName,
  { claims, ...asking }: Asking & { claims: readonly KeyClaim[] },
): Promise<ClaimedKeys> {
  const wanted = byUserAndDevice(claims, (ofDevice) => ofDevice.at(-1)!.algorithm)
  const path = '/_matrix/federation/v1/user/keys/claim'
  const body = { one_time_keys: wanted }
  const { success, data } = answer.safeParse(
    await app.federation.request({ destination, method: 'POST', path, body, maxBytes: MAX_KEY_BYTES, ...asking }),
  )
  if (!success) throw new FederationError(`${destination} answers no keys`, { retryable: false })
  const { one_time_keys: received } = data
  const found = claims.flatMap(({ user_id, device_id, algorithm }) => {
    const keys = Object.entries(received[user_id]?.[device_id] ?? {}).filter(
      ([name, key]) => name.startsWith(`${algorithm}:`) && oneTimeKey.safeParse(key).success,
    )
    return keys.length > 0 ? [{ user_id, device_id, keys: Object.fromEntries<Json>(keys) }] : []
  })
  return byUserAndDevice(found, (ofDevice) => ofDevice.at(-1)!.keys)
}
