import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import type { App } from '../../app.ts'
import { parseCrossSigningKey, parseDeviceKeys } from '../../core/devices/key-objects.ts'
import { type ServerName, serverNameOf, type UserId } from '../../core/ids.ts'
import { requireCount } from '../../core/limits.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { FederationError } from '../../infra/federation/federation-error.ts'
import { loadSignatures } from '../../storage/devices/cross-signing-keys.ts'
import type { RemoteDevice } from '../../storage/devices/remote-devices.ts'
import { bySignedKey, loadKeys, type QueriedKeys, withSignatures } from '../devices/load-keys.ts'
import { type Asking, askServers, type Failures } from '../federation/requests/ask-servers.ts'
import { type DeviceListApp, freshDeviceLists } from '../federation/requests/fetch-device-lists.ts'

type Wanted = ReadonlyMap<UserId, readonly string[]>

/** Maximum and default time in milliseconds to wait for other servers. */
const MAX_TIMEOUT_MS = 20_000
const TIMEOUT_MS = 10_000
/** Maximum bytes of one server's keys. */
export const MAX_KEY_BYTES = 8 * 1024 * 1024

/**
 * Returns the identity and cross-signing keys of users as `viewer` may see them. `wanted`: the devices of each user; an
 * empty list means all. Servers that do not answer within `timeout` milliseconds are among the failures. Throws
 * M_TOO_LARGE.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysquery
 */
export async function queryKeys(
  app: DeviceListApp & Pick<App, 'serverName' | 'config'>,
  { viewer, wanted, timeout }: { viewer: UserId; wanted: Wanted; timeout?: number | undefined },
): Promise<QueriedKeys & { failures: Failures }> {
  requireFewQueries(app, wanted)
  const timeoutMs = keyTimeout(timeout)
  const others = [...wanted.keys()].filter((userId) => serverNameOf(userId) !== app.serverName)
  // Lists that are not available in time are queried like uncached ones.
  const kept = await Promise.race([
    freshDeviceLists(app, others),
    pause(timeoutMs, new Map<UserId, RemoteDevice[]>(), { ref: false }),
  ])
  const unknown = [...wanted].filter(([userId]) => serverNameOf(userId) !== app.serverName && !kept.has(userId))
  const byServer = Map.groupBy(unknown, ([userId]) => serverNameOf(userId))
  const known = new Map([...wanted].filter(([userId]) => !byServer.has(serverNameOf(userId)) || kept.has(userId)))
  const [here, { answers, failures }] = await Promise.all([
    loadKeys(app, app.database, { viewer, wanted: known }),
    askServers(app, { servers: byServer.keys(), timeoutMs }, (server, asking) =>
      askForKeys(app, server, { ...asking, wanted: new Map(byServer.get(server)) }),
    ),
  ])
  for (const [userId, devices] of kept) here.device_keys[userId] = keptKeys(devices, wanted.get(userId) ?? [])
  const received = await withOwnSignatures(app, viewer, fitKeys(merge(answers), app.config.limits.answers.keys))
  return { ...merge([here, received]), user_signing_keys: here.user_signing_keys, failures }
}

/** Throws TooLargeError if a request names too many users and devices. */
export function requireFewQueries({ config }: Pick<App, 'config'>, wanted: Wanted): void {
  const named = [...wanted.values()].reduce((sum, devices) => sum + 1 + devices.length, 0)
  requireCount(config.limits, 'key_queries', named)
}

/** Returns the wanted devices of a cached list; all if none is named. */
function keptKeys(devices: readonly RemoteDevice[], deviceIds: readonly string[]): Record<string, JsonObject> {
  const named = new Set<string>(deviceIds)
  const wanted = devices.filter(({ device_id }) => named.size === 0 || named.has(device_id))
  return Object.fromEntries(
    wanted.flatMap(({ device_id, key_json, display_name }) => {
      if (key_json === null) return []
      const unsigned = display_name === null ? {} : { unsigned: { device_display_name: display_name } }
      return [[device_id, { ...JSON.parse(key_json), ...unsigned }]]
    }),
  )
}

/** Clamps the timeout that a client requests, in milliseconds. */
export function keyTimeout(timeout: number | undefined): number {
  return Math.min(Math.max(timeout ?? TIMEOUT_MS, 1), MAX_TIMEOUT_MS)
}

type PublicKeys = Omit<QueriedKeys, 'user_signing_keys'>

const byUser = <Schema extends z.ZodType>(schema: Schema) => z.record(z.string(), schema)
const answer = z.object({
  device_keys: byUser(byUser(z.unknown())).catch({}),
  master_keys: byUser(z.unknown()).catch({}),
  self_signing_keys: byUser(z.unknown()).catch({}),
})

/**
 * https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1userkeysquery; only keys that can belong to
 * the requested users are passed on.
 */
async function askForKeys(
  app: Pick<App, 'federation'>,
  destination: ServerName,
  { wanted, ...asking }: Asking & { wanted: Wanted },
): Promise<PublicKeys> {
  const path = '/_matrix/federation/v1/user/keys/query'
  const body = { device_keys: Object.fromEntries(wanted) }
  const { success, data: received } = answer.safeParse(
    await app.federation.request({ destination, method: 'POST', path, body, maxBytes: MAX_KEY_BYTES, ...asking }),
  )
  if (!success) throw new FederationError(`${destination} answers no keys`, { retryable: false })
  const asked = <Value>(of: Record<string, Value>) =>
    Object.entries(of).filter(([userId]) => wanted.has(userId as UserId))
  return {
    device_keys: Object.fromEntries(
      asked(received.device_keys).map(([userId, devices]) => [
        userId,
        ownEntries(devices, (id, keys) => isDeviceOf(keys, userId, id)),
      ]),
    ),
    master_keys: Object.fromEntries(
      asked(received.master_keys).filter(([userId, key]) => isKeyOf(key, userId, 'master')),
    ) as Record<string, JsonObject>,
    self_signing_keys: Object.fromEntries(
      asked(received.self_signing_keys).filter(([userId, key]) => isKeyOf(key, userId, 'self_signing')),
    ) as Record<string, JsonObject>,
  }
}

function ownEntries(
  object: Record<string, unknown>,
  keep: (id: string, value: unknown) => boolean,
): Record<string, JsonObject> {
  return Object.fromEntries(Object.entries(object).filter(([id, value]) => keep(id, value))) as Record<
    string,
    JsonObject
  >
}

function isDeviceOf(keys: unknown, userId: string, deviceId: string): boolean {
  return passes(() => {
    const { user_id, device_id } = parseDeviceKeys(keys)
    return user_id === userId && device_id === deviceId
  })
}

function isKeyOf(object: unknown, userId: string, usage: string): boolean {
  return passes(() => {
    const { key } = parseCrossSigningKey(object)
    return key.user_id === userId && key.usage.includes(usage)
  })
}

function passes(check: () => boolean): boolean {
  try {
    return check()
  } catch {
    return false
  }
}

/** Drops the devices of the users with most of them if all exceed `bytes`. */
function fitKeys(keys: PublicKeys, bytes: number): PublicKeys {
  const sized = Object.entries(keys.device_keys).map(([userId, devices]) => ({
    userId,
    devices,
    size: JSON.stringify(devices).length,
  }))
  let left = bytes
  const kept = sized
    .sort((a, b) => a.size - b.size)
    .map(({ userId, devices, size }) => {
      left -= size
      return [userId, left < 0 ? {} : devices]
    })
  return { ...keys, device_keys: Object.fromEntries(kept) }
}

function merge(parts: readonly PublicKeys[]): PublicKeys {
  const all = (pick: 'master_keys' | 'self_signing_keys') => Object.assign({}, ...parts.map((part) => part[pick]))
  return {
    device_keys: Object.assign({}, ...parts.map((part) => part.device_keys)),
    master_keys: all('master_keys'),
    self_signing_keys: all('self_signing_keys'),
  }
}

/** The viewer's own signatures on other users' keys are known only here. */
async function withOwnSignatures(app: Pick<App, 'database'>, viewer: UserId, keys: PublicKeys): Promise<PublicKeys> {
  const users = Object.keys(keys.master_keys) as UserId[]
  if (users.length === 0) return keys
  const signaturesOf = bySignedKey(await loadSignatures(app.database, users, viewer))
  const signed = users.map((userId) => {
    const key = keys.master_keys[userId]!
    const [publicKey = ''] = Object.values((key.keys ?? {}) as Record<string, string>)
    return [userId, withSignatures(key, signaturesOf(userId, publicKey))] as const
  })
  return { ...keys, master_keys: Object.fromEntries(signed) }
}
