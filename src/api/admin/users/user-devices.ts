import { z } from 'zod'
import { NotFoundError } from '../../../core/errors.ts'
import { addDevice, nameDevice, removeDevices } from '../../../services/devices/devices.ts'
import { findLocalUser } from '../../../services/users/account-moderation.ts'
import { findDehydratedDevice } from '../../../storage/devices/dehydrated-device.ts'
import { findDevice, loadDevices } from '../../../storage/devices/devices.ts'
import type { DeviceRow } from '../../../storage/schema/users.ts'
import { deviceId } from '../../http/fields.ts'
import { type AnyEndpoint, Reply, route } from '../../http/route.ts'
import { ofUser, v2 } from '../admin-fields.ts'

const MAX_DEVICES = 10_000
const listPath = v2('/users/:userId/devices')
const path = v2('/users/:userId/devices/:deviceId')
export const ofDevice = ofUser.extend({ deviceId })

const getUserDevices = route({
  method: 'GET',
  path: listPath,
  auth: 'admin',
  params: ofUser,
  async handle({ params: { userId } }, app) {
    await findLocalUser(app, userId)
    const [devices, dehydrated] = await Promise.all([
      loadDevices(app.database, userId),
      findDehydratedDevice(app.database, userId),
    ])
    const described = devices.map((device) => ({
      ...describe(device),
      dehydrated: device.device_id === dehydrated?.device_id,
    }))
    return { devices: described, total: devices.length }
  },
})

const postUserDevice = route({
  method: 'POST',
  path: listPath,
  auth: 'admin',
  params: ofUser,
  body: z.object({ device_id: deviceId, display_name: z.string().max(255).nullish() }),
  async handle({ params: { userId }, body }, app) {
    const user = await findLocalUser(app, userId)
    if (user.deactivated_ts !== null) throw new NotFoundError('The user is deactivated')
    await addDevice(app, { userId, deviceId: body.device_id, displayName: body.display_name ?? null })
    return new Reply(201, {})
  },
})

const getUserDevice = route({
  method: 'GET',
  path,
  auth: 'admin',
  params: ofDevice,
  async handle({ params }, app) {
    await findLocalUser(app, params.userId)
    const device = await findDevice(app.database, params)
    if (!device) throw new NotFoundError('Unknown device')
    return describe(device)
  },
})

const putUserDevice = route({
  method: 'PUT',
  path,
  auth: 'admin',
  params: ofDevice,
  body: z.object({ display_name: z.string().max(255).nullish() }),
  async handle({ params, body }, app) {
    await findLocalUser(app, params.userId)
    if (body.display_name !== undefined) await nameDevice(app, { ...params, displayName: body.display_name })
    return {}
  },
})

export const deleteUserDevice = route({
  method: 'DELETE',
  path,
  auth: 'admin',
  params: ofDevice,
  async handle({ params }, app) {
    await findLocalUser(app, params.userId)
    await removeDevices(app, params.userId, [params.deviceId])
    return {}
  },
})

const postDeleteUserDevices = route({
  method: 'POST',
  path: v2('/users/:userId/delete_devices'),
  auth: 'admin',
  params: ofUser,
  body: z.object({ devices: z.array(deviceId).max(MAX_DEVICES) }),
  async handle({ params, body }, app) {
    await findLocalUser(app, params.userId)
    await removeDevices(app, params.userId, body.devices)
    return {}
  },
})

export const userDeviceEndpoints: readonly AnyEndpoint[] = [
  getUserDevices,
  postUserDevice,
  getUserDevice,
  putUserDevice,
  deleteUserDevice,
  postDeleteUserDevices,
]

function describe(device: DeviceRow) {
  const { device_id, display_name, last_seen_ip, last_seen_ts, last_seen_user_agent, user_id } = device
  return { device_id, display_name, last_seen_ip, last_seen_ts, last_seen_user_agent, user_id }
}
