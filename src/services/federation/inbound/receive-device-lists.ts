import { z } from 'zod'
import { type DeviceId, serverNameOf, type UserId } from '../../../core/ids.ts'
import { storeCrossSigningKeys } from '../../../storage/devices/cross-signing-keys.ts'
import { type DeviceListChange, noteDeviceListChange } from '../../../storage/devices/device-lists.ts'
import {
  filterUsersInRooms,
  lockDeviceList,
  markDeviceListStale,
  type RemoteDevice,
  storeDeviceChange,
} from '../../../storage/devices/remote-devices.ts'
import type { Tx } from '../../../storage/engine/database.ts'
import { loadPartialRoomsOf } from '../../../storage/rooms/membership/partial-rooms.ts'
import { remoteCrossSigningKeys, remoteDevice } from '../requests/remote-keys.ts'
import { eduDeviceId, eduUserId } from '../trust/edu-fields.ts'
import { requireUserOfOrigin } from '../trust/require-own-user.ts'
import type { EduApp, ReceiveEdu } from './edu-app.ts'

const streamId = z.int()
const deviceUpdate = z.looseObject({
  user_id: eduUserId,
  device_id: eduDeviceId,
  stream_id: streamId,
  prev_id: z.array(streamId).max(100).optional(),
  deleted: z.boolean().optional(),
  keys: z.unknown().optional(),
})
const signingKeyUpdate = z.looseObject({
  user_id: eduUserId,
  master_key: z.unknown().optional(),
  self_signing_key: z.unknown().optional(),
})

/**
 * Handles a change of a remote user's device. Applies it if no earlier change was missed; otherwise marks the list as
 * stale. https://spec.matrix.org/v1.19/server-server-api/#mdevice_list_update
 */
export const receiveDeviceListUpdate: ReceiveEdu = async (app, origin, received) => {
  const update = deviceUpdate.parse(received)
  const { user_id: user, device_id: device, stream_id, prev_id: previous = [] } = update
  requireUserOfOrigin(origin, user)
  if (!(await sharesRoom(app, user, `device ${device}`))) return
  // Clients cannot query a device without keys.
  const isVisible = update.deleted === true || update.keys !== undefined
  await app.database.write(async (tx) => {
    const tell = () => isVisible && noteDeviceListChange(tx, user, `device ${device}`)
    const list = await lockDeviceList(tx, user)
    // The list is not cached, so there is nothing to update, but clients are notified.
    if (!list) return tell()
    // An update without `prev_id` begins a sequence whose past is unknown.
    const isFirst = previous.length === 0
    if (!list.is_stale && !isFirst && list.stream_id === stream_id) return
    const isNext = !list.is_stale && !isFirst && previous.every((id) => id === list.stream_id)
    const change = changeOf(app, update)
    if (isNext && change) return followChange(app, tx, { userId: user, streamId: stream_id, ...change })
    await markDeviceListStale(tx, user)
    tell()
  })
}

/**
 * Returns whether the user shares a room with a local user. While a room's members are not all known, records the
 * change, to notify clients later.
 */
async function sharesRoom({ database }: EduApp, user: UserId, change: DeviceListChange): Promise<boolean> {
  if ((await filterUsersInRooms(database, [user])).has(user)) return true
  const mayShare = (await loadPartialRoomsOf(database, serverNameOf(user))).size > 0
  if (mayShare) await database.write(async (tx) => noteDeviceListChange(tx, user, change))
  return false
}

/** Drops devices beyond the limit per user. */
async function followChange(
  { config: { limits }, logger }: EduApp,
  tx: Tx,
  change: Parameters<typeof storeDeviceChange>[1],
): Promise<void> {
  const most = { bytes: limits.totals.device_keys, devices: limits.counts.devices }
  if (await storeDeviceChange(tx, change, most)) return
  logger.warn({ user_id: change.userId }, 'device of remote user dropped, limit exceeded')
}

/** Returns undefined if the update is incomplete. */
function changeOf(
  { config }: EduApp,
  update: z.output<typeof deviceUpdate>,
): { deleted: DeviceId } | { device: RemoteDevice } | undefined {
  if (update.deleted) return { deleted: update.device_id }
  const { data } = remoteDevice(update.user_id, config.limits.sizes.device_keys).safeParse(update)
  return data && { device: data }
}

/**
 * Handles new cross-signing keys of a remote user.
 * https://spec.matrix.org/v1.19/server-server-api/#msigning_key_update
 */
export const receiveSigningKeyUpdate: ReceiveEdu = async (app, origin, received) => {
  const update = signingKeyUpdate.parse(received)
  const { user_id: user } = update
  requireUserOfOrigin(origin, user)
  const keys = remoteCrossSigningKeys(user, update, app.config.limits.sizes.device_keys)
  if (keys.length === 0 || !(await sharesRoom(app, user, 'cross_signing'))) return
  await app.database.write((tx) => storeCrossSigningKeys(tx, user, keys))
}
