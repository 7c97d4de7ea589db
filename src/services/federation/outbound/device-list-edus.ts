import { type DeviceId, type RoomId, type ServerName, serverNameOf, type UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { loadDevicesOfUsers } from '../../../storage/devices/devices.ts'
import type { Tx } from '../../../storage/engine/database.ts'
import type { NewEdu } from '../../../storage/federation/federation-outbox.ts'
import { loadDeviceStreams, storeDeviceStreams } from '../../../storage/federation/federation-progress.ts'
import { loadNewServersOfUsers, loadServersOfUsers } from '../../../storage/rooms/membership/other-servers.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import type { DeviceRow } from '../../../storage/schema/users.ts'
import type { FollowingApp } from './following-app.ts'
import { loadKeysForServers } from './keys-for-servers.ts'

type DeviceEduApp = Pick<FollowingApp, 'config' | 'serverName'>
type KeysForServers = Awaited<ReturnType<typeof loadKeysForServers>>

/** A changed device, with the stream position of the change. */
type Change = { userId: UserId; deviceId: DeviceId; position: number }

/**
 * Returns EDUs for changed devices and cross-signing keys of local users, for the servers that share a room with them.
 * Each change names its predecessor, so that a server notices a missed one.
 * https://spec.matrix.org/v1.19/server-server-api/#device-management
 */
export async function changedDeviceEdus(app: DeviceEduApp, tx: Tx, rows: readonly StreamRow[]): Promise<NewEdu[]> {
  const { devices, signing } = changesOf(rows, app.serverName)
  const users = [...new Set([...devices.map(({ userId }) => userId), ...signing.keys()])]
  const servers = await loadServersOfUsers(tx, users)
  if (servers.size === 0) return []
  const shared = [...servers.keys()]
  const keys = await loadKeysForServers(app, tx, new Map(shared.map((userId) => [userId, []])))
  const known = await loadDevicesOfUsers(tx, shared)
  // A new signature may be on any of the devices.
  for (const [userId, position] of signing) {
    const deviceIds = Object.keys(keys.device_keys[userId] ?? {}) as DeviceId[]
    devices.push(...deviceIds.map((deviceId) => ({ userId, deviceId, position })))
  }
  const streams = await loadDeviceStreams(tx, shared)
  const edus = lastOfEach(devices).flatMap((change) => {
    const destinations = servers.get(change.userId) ?? []
    if (destinations.length === 0) return []
    const previous = streams.get(change.userId)
    // Several devices may change at one position.
    const streamId = Math.max(change.position, (previous ?? 0) + 1)
    streams.set(change.userId, streamId)
    const content = {
      ...deviceContent(app, change, { known, keys }),
      stream_id: streamId,
      prev_id: previous ? [previous] : [],
    }
    return destinations.map((destination) => deviceEdu(destination, change.userId, content))
  })
  if (edus.length > 0) await storeDeviceStreams(tx, streams)
  return [...edus, ...signingEdus(signing, servers, keys)]
}

/**
 * Returns EDUs with all devices of local users who joined rooms, for the servers there that did not share a room with
 * the user before.
 * https://spec.matrix.org/v1.19/server-server-api/#device-management
 */
export async function devicesForNewServers(
  app: DeviceEduApp,
  tx: Tx,
  joins: readonly { userId: UserId; roomId: RoomId }[],
): Promise<NewEdu[]> {
  return devicesForServers(app, tx, await loadNewServersOfUsers(tx, joins))
}

/** Returns EDUs with all devices of local users, each for some servers. */
export async function devicesForServers(
  app: DeviceEduApp,
  tx: Tx,
  servers: ReadonlyMap<UserId, readonly ServerName[]>,
): Promise<NewEdu[]> {
  if (servers.size === 0) return []
  const users = [...servers.keys()]
  const devices = await loadDevicesOfUsers(tx, users)
  const keys = await loadKeysForServers(app, tx, new Map(users.map((userId) => [userId, []])))
  const streams = await loadDeviceStreams(tx, users)
  return devices.flatMap(({ user_id: userId, device_id: deviceId }) => {
    const stream_id = streams.get(userId) ?? 0
    const content = { ...deviceContent(app, { userId, deviceId }, { known: devices, keys }), stream_id, prev_id: [] }
    return (servers.get(userId) ?? []).map((destination) => deviceEdu(destination, userId, content))
  })
}

function changesOf(rows: readonly StreamRow[], ourName: ServerName) {
  const devices: Change[] = []
  const signing = new Map<UserId, number>()
  for (const { kind, room_id, user_id: userId, detail, stream_position: position } of rows) {
    if (kind !== 'device_list' || room_id !== null || userId === null || serverNameOf(userId) !== ourName) continue
    if (detail === 'cross_signing') signing.set(userId, position)
    const [, deviceId] = /^(?:device|keyless) (.*)$/s.exec(detail ?? '') ?? []
    if (deviceId !== undefined) devices.push({ userId, deviceId: deviceId as DeviceId, position })
  }
  return { devices, signing }
}

/** Returns the last change of each device, in stream order. */
function lastOfEach(changes: readonly Change[]): Change[] {
  const last = new Map(changes.map((change) => [`${change.userId} ${change.deviceId}`, change]))
  return [...last.values()].sort((a, b) => a.position - b.position)
}

function deviceContent(
  { config }: DeviceEduApp,
  { userId, deviceId }: { userId: UserId; deviceId: DeviceId },
  { known, keys: all }: { known: readonly DeviceRow[]; keys: KeysForServers },
): JsonObject {
  const device = known.find((row) => row.user_id === userId && row.device_id === deviceId)
  const base = { user_id: userId, device_id: deviceId }
  if (!device) return { ...base, deleted: true }
  const { unsigned: _unsigned, ...keys } = all.device_keys[userId]?.[deviceId] ?? {}
  return {
    ...base,
    ...(config.federation.tell_device_names &&
      device.display_name !== null && { device_display_name: device.display_name }),
    ...(Object.keys(keys).length > 0 && { keys }),
  }
}

function deviceEdu(destination: ServerName, subject: UserId, content: JsonObject): NewEdu {
  return { destination, type: 'm.device_list_update', content, subject }
}

function signingEdus(
  signing: ReadonlyMap<UserId, number>,
  servers: ReadonlyMap<UserId, readonly ServerName[]>,
  keys: KeysForServers,
): NewEdu[] {
  return [...signing.keys()].flatMap((userId) => {
    const master = keys.master_keys[userId]
    const selfSigning = keys.self_signing_keys[userId]
    const content = {
      user_id: userId,
      ...(master && { master_key: master }),
      ...(selfSigning && { self_signing_key: selfSigning }),
    }
    return (servers.get(userId) ?? []).map((destination) => ({
      destination,
      type: 'm.signing_key_update',
      content,
      key: `m.signing_key_update ${userId}`,
    }))
  })
}
