import type { App } from '../../app.ts'
import { ForbiddenError, InvalidParamError, NotFoundError } from '../../core/errors.ts'
import type { DeviceId, UserId } from '../../core/ids.ts'
import { requireSize } from '../../core/limits.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { parseSyncToken, syncToken } from '../../core/sync-token.ts'
import { findDehydratedDevice, storeDehydratedDevice } from '../../storage/devices/dehydrated-device.ts'
import { deleteDevices, ensureDevice, findDevice } from '../../storage/devices/devices.ts'
import { loadToDeviceMessages } from '../../storage/devices/to-device.ts'
import type { DeviceKey } from '../../storage/schema/users.ts'
import { lockUser } from '../../storage/users/users.ts'
import { type KeyUpload, parseUpload, storeKeys } from './upload-keys.ts'

/** A device without a session: it collects messages until a client of its user rehydrates it. */
export type DehydratedDevice = { device_id: DeviceId; device_data: JsonObject }

/** Events of a dehydrated device in the format of /sync, and the token of the next page. */
export type DehydratedEvents = { events: object[]; next_batch: string; hasMore: boolean }

const EVENTS_AT_ONCE = 100

/**
 * Replaces the user's dehydrated device with a new device and its keys. Throws M_INVALID_PARAM when the ID is that of a
 * device in use, and M_TOO_LARGE.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/3814
 */
export async function replaceDehydratedDevice(
  app: Pick<App, 'database' | 'clock' | 'config'>,
  key: DeviceKey,
  device: { displayName: string | null; deviceData: JsonObject; keys: KeyUpload },
): Promise<void> {
  const keys = parseUpload(app, key, device.keys)
  const deviceData = JSON.stringify(device.deviceData)
  requireSize(app.config.limits, 'dehydrated_device', deviceData)
  await app.database.write(async (tx) => {
    await lockUser(tx, key.userId)
    const former = await findDehydratedDevice(tx, key.userId)
    if (former) await deleteDevices(tx, key.userId, { only: [former.device_id] })
    if (await findDevice(tx, key)) throw new InvalidParamError('device_id: is that of a device that is in use')
    await ensureDevice(tx, { ...key, displayName: device.displayName, now: app.clock.now() })
    await storeKeys(app, tx, { device: key, keys })
    await storeDehydratedDevice(tx, key, deviceData)
  })
}

/** Returns the user's dehydrated device. Throws M_NOT_FOUND. */
export async function getDehydratedDevice(app: Pick<App, 'database'>, userId: UserId): Promise<DehydratedDevice> {
  const device = await findDehydratedDevice(app.database, userId)
  if (!device) throw noDehydratedDevice()
  return { device_id: device.device_id, device_data: JSON.parse(device.device_data) }
}

/** Deletes the user's dehydrated device with its keys and events, and returns its ID. Throws M_NOT_FOUND. */
export async function deleteDehydratedDevice(app: Pick<App, 'database'>, userId: UserId): Promise<DeviceId> {
  return app.database.write(async (tx) => {
    const device = await findDehydratedDevice(tx, userId)
    if (!device) throw noDehydratedDevice()
    await deleteDevices(tx, userId, { only: [device.device_id] })
    return device.device_id
  })
}

/**
 * Returns the to-device events of the dehydrated device after `from`. They are kept until the device is deleted. Throws
 * M_FORBIDDEN for other devices.
 */
export async function readDehydratedEvents(
  app: Pick<App, 'database' | 'config'>,
  { userId, deviceId }: DeviceKey,
  from: string | undefined,
): Promise<DehydratedEvents> {
  const device = await findDehydratedDevice(app.database, userId)
  if (device?.device_id !== deviceId) throw new ForbiddenError('This is not your dehydrated device')
  const start = from === undefined ? 0 : parseSyncToken(from)
  const { to_device: bytes } = app.config.limits.answers
  const range = { from: start, to: Number.MAX_SAFE_INTEGER, limit: EVENTS_AT_ONCE, bytes }
  const { messages, hasMore } = await loadToDeviceMessages(app.database, { userId, deviceId }, range)
  return {
    events: messages.map(({ sender, type, content }) => ({ sender, type, content: JSON.parse(content) })),
    next_batch: syncToken(messages.at(-1)?.position ?? start),
    hasMore,
  }
}

function noDehydratedDevice(): NotFoundError {
  return new NotFoundError('There is no dehydrated device')
}
