import type { App } from '../../app.ts'
import { NotFoundError } from '../../core/errors.ts'
import type { DeviceId, UserId } from '../../core/ids.ts'
import { deleteDevices, ensureDevice, findDevice, loadDevices, renameDevice } from '../../storage/devices/devices.ts'
import type { DeviceKey, DeviceRow } from '../../storage/schema/users.ts'
import { lockUser } from '../../storage/users/users.ts'
import { limitDevices } from '../users/limit-devices.ts'

/**
 * A device in the format of the client API. https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3devices
 */
export type ClientDevice = {
  device_id: DeviceId
  display_name?: string
  last_seen_ts?: number
  last_seen_ip?: string
}

/** Lists a user's devices. */
export async function listDevices(app: Pick<App, 'database'>, userId: UserId): Promise<ClientDevice[]> {
  return (await loadDevices(app.database, userId)).map(clientDevice)
}

/** Returns one device. Throws M_NOT_FOUND. */
export async function getDevice(app: Pick<App, 'database'>, key: DeviceKey): Promise<ClientDevice> {
  const device = await findDevice(app.database, key)
  if (!device) throw noSuchDevice()
  return clientDevice(device)
}

/**
 * Creates a device without a session. Returns false if the ID exists.
 * https://spec.matrix.org/v1.19/application-service-api/#creating-devices
 */
export async function addDevice(
  app: Pick<App, 'database' | 'clock' | 'config' | 'logger'>,
  device: DeviceKey & { displayName: string | null },
): Promise<boolean> {
  return app.database.write(async (tx) => {
    await lockUser(tx, device.userId)
    const isNew = await ensureDevice(tx, { ...device, now: app.clock.now() })
    if (isNew) await limitDevices(app, tx, device)
    return isNew
  })
}

/** Renames a device. Throws M_NOT_FOUND. */
export async function nameDevice(
  app: Pick<App, 'database'>,
  { displayName, ...key }: DeviceKey & { displayName: string | null },
): Promise<void> {
  const exists = await app.database.write((tx) => renameDevice(tx, { ...key, displayName }))
  if (!exists) throw noSuchDevice()
}

/** Deletes devices with their tokens, which logs them out. Unknown devices are ignored. */
export async function removeDevices(
  app: Pick<App, 'database'>,
  userId: UserId,
  deviceIds: readonly DeviceId[],
): Promise<void> {
  await app.database.write((tx) => deleteDevices(tx, userId, { only: deviceIds }))
}

function noSuchDevice(): NotFoundError {
  return new NotFoundError('Unknown device')
}

function clientDevice({ device_id, display_name, last_seen_ts, last_seen_ip }: DeviceRow): ClientDevice {
  return {
    device_id,
    ...(display_name !== null && { display_name }),
    ...(last_seen_ts !== null && { last_seen_ts }),
    ...(last_seen_ip !== null && { last_seen_ip }),
  }
}
