import { z } from 'zod'
import type { App } from '../../../app.ts'
import { type ServerName, serverNameOf, type UserId } from '../../../core/ids.ts'
import type { ActiveWork } from '../../../infra/concurrency/active-work.ts'
import { jitteredBackOff } from '../../../infra/concurrency/back-off.ts'
import { createConcurrencyLimit } from '../../../infra/concurrency/concurrency-limit.ts'
import { FederationError } from '../../../infra/federation/federation-error.ts'
import {
  type FetchedDeviceList,
  filterUsersInRooms,
  findStaleLists,
  leaseStaleList,
  loadRemoteDevices,
  type RemoteDevice,
  restStaleList,
  storeDeviceList,
  wantDeviceLists,
} from '../../../storage/devices/remote-devices.ts'
import type { RemoteDeviceListRow } from '../../../storage/schema/federation.ts'
import { remoteCrossSigningKeys, remoteDevice } from './remote-keys.ts'

export type DeviceListApp = Pick<
  App,
  'config' | 'database' | 'federation' | 'clock' | 'random' | 'logger' | 'stopping' | 'remote'
>

const REQUEST_TIMEOUT_MS = 20_000
/** Longer than a request and its processing: when a process dies, another takes over after this time. */
const LEASE_MS = 30_000
const MAX_ANSWER_BYTES = 20_000_000
const BACK_OFF = { first: 1000, longest: 60 * 60_000 }
/** Concurrent fetches, per server and in total. */
const PER_SERVER = 2
const AT_ONCE = 20
const LOOKED_AT = 200
/**
 * Number of users per server whose lists are fetched because of a key query; for further users only the query is sent.
 */
const FETCHED_FOR_QUERY = 10
/** Maximum concurrent fetches for one request. */
const AT_ONCE_FOR_QUERY = 50

/**
 * Returns the devices of remote users who share a room with a local user, fetched if needed and then kept up to date.
 * Users whose list is not available at once are absent: their servers may be queried, or cannot be reached.
 */
export async function freshDeviceLists(
  app: DeviceListApp,
  userIds: readonly UserId[],
): Promise<Map<UserId, RemoteDevice[]>> {
  const { keys: bytes } = app.config.limits.answers
  const known = await loadRemoteDevices(app.database, userIds, bytes)
  const absent = userIds.filter((userId) => !known.has(userId))
  if (absent.length === 0) return known
  const sharing = [...(await filterUsersInRooms(app.database, absent))]
  const byServer = Map.groupBy(sharing, serverNameOf)
  const wanted = [...byServer].flatMap(([server, users]) =>
    users.length <= FETCHED_FOR_QUERY ? users.map((userId) => ({ userId, server })) : [],
  )
  if (wanted.length === 0) return known
  await app.database.write((tx) => wantDeviceLists(tx, wanted))
  const inTurn = createConcurrencyLimit(AT_ONCE_FOR_QUERY)
  await Promise.all(wanted.map(({ userId }) => inTurn(() => fetchDeviceList(app, userId))))
  const fetched = await loadRemoteDevices(
    app.database,
    wanted.map(({ userId }) => userId),
    bytes,
  )
  return new Map([...known, ...fetched])
}

/** The fetches of this process in flight, by user. */
export type Fetches = ActiveWork<UserId, ServerName>

/** Starts to fetch stale lists, a limited number concurrently, and adds them to `active`. */
export async function fetchStaleLists(app: DeviceListApp, active: Fetches): Promise<void> {
  if (active.size >= AT_ONCE) return
  const stale = await findStaleLists(app.database, app.clock.now(), LOOKED_AT)
  for (const { user_id, server_name } of stale) {
    const ofServer = active.abouts().filter((server) => server === server_name).length
    if (active.size >= AT_ONCE) return
    if (active.has(user_id) || ofServer >= PER_SERVER) continue
    active.begin(user_id, server_name, () => fetchDeviceList(app, user_id))
  }
}

/** Fetches a user's list if it is stale and no other process does; it backs off on failure. Never rejects. */
function fetchDeviceList(app: DeviceListApp, userId: UserId): Promise<void> {
  return app.remote.deviceListFetches(userId, async () => {
    try {
      const now = app.clock.now()
      const list = await app.database.write((tx) => leaseStaleList(tx, userId, { now, until: now + LEASE_MS }))
      if (list) await fetchLeased(app, list)
    } catch (error) {
      app.logger.warn({ err: error, user_id: userId }, 'device list request failed, will retry')
    }
  })
}

async function fetchLeased(app: DeviceListApp, list: RemoteDeviceListRow): Promise<void> {
  try {
    const fetched = await askForList(app, list)
    await app.database.write((tx) => storeDeviceList(tx, fetched, list.version))
  } catch (error) {
    if (!(error instanceof FederationError || error instanceof z.ZodError)) throw error
    app.logger.info({ err: error, user_id: list.user_id }, 'device list request failed, will retry')
    const retryAt = app.clock.now() + jitteredBackOff(list.failures, BACK_OFF, app.random)
    await app.database.write((tx) => restStaleList(tx, list.user_id, retryAt))
  }
}

/**
 * https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1userdevicesuserid; devices with invalid keys
 * and those beyond the limit are left out.
 */
async function askForList(
  app: DeviceListApp,
  { user_id: userId, server_name: destination }: RemoteDeviceListRow,
): Promise<FetchedDeviceList> {
  const answer = await app.federation.request({
    destination,
    method: 'GET',
    path: `/_matrix/federation/v1/user/devices/${encodeURIComponent(userId)}`,
    timeoutMs: REQUEST_TIMEOUT_MS,
    maxBytes: MAX_ANSWER_BYTES,
    signal: app.stopping,
  })
  const list = z
    .looseObject({
      user_id: z.literal(userId),
      stream_id: z.int(),
      devices: z.array(z.unknown()),
      master_key: z.unknown().optional(),
      self_signing_key: z.unknown().optional(),
    })
    .parse(answer)
  const devices = devicesIn(app, userId, list.devices)
  return { userId, streamId: list.stream_id, devices, crossSigning: crossSigningOf(app, userId, list) }
}

function devicesIn(
  { config: { limits }, logger }: DeviceListApp,
  userId: UserId,
  list: readonly unknown[],
): RemoteDevice[] {
  const schema = remoteDevice(userId, limits.sizes.device_keys)
  const devices = new Map<string, RemoteDevice>()
  let left = limits.totals.device_keys
  for (const each of list.slice(0, limits.counts.devices)) {
    const { data } = schema.safeParse(each)
    if (!data || Buffer.byteLength(data.key_json) > left) continue
    left -= Buffer.byteLength(data.key_json)
    devices.set(data.device_id, data)
  }
  const dropped = list.length - devices.size
  if (dropped > 0) logger.info({ user_id: userId, dropped }, 'devices of remote user dropped, keys invalid or too many')
  return [...devices.values()]
}

function crossSigningOf({ config }: DeviceListApp, userId: UserId, list: Parameters<typeof remoteCrossSigningKeys>[1]) {
  try {
    return remoteCrossSigningKeys(userId, list, config.limits.sizes.device_keys)
  } catch {
    // Malformed keys count as absent.
    return []
  }
}
