import type { App } from '../../app.ts'
import { requireTotal } from '../../core/limits.ts'
import { countDevicesOf } from '../../storage/devices/devices.ts'
import { type NewToDeviceMessage, storeToDeviceMessages } from '../../storage/devices/to-device.ts'
import type { Tx } from '../../storage/engine/database.ts'

type Capabilities = Pick<App, 'config' | 'logger'>

/**
 * Appends messages to the inboxes of devices. Full inboxes drop messages of the senders that use most of them. Throws
 * M_TOO_LARGE when the copies for all devices of users would be too large together.
 */
export async function deliverToDevice(
  app: Capabilities,
  tx: Tx,
  messages: readonly NewToDeviceMessage[],
): Promise<void> {
  await requireModestCopies(app, tx, messages)
  const { to_device_inbox: limit } = app.config.limits.totals
  const full = await storeToDeviceMessages(tx, messages, limit)
  for (const inbox of full) app.logger.warn(inbox, 'inbox of device full, to-device messages dropped')
}

/** A message to all devices of a user is stored once per device. */
async function requireModestCopies(
  { config: { limits } }: Capabilities,
  tx: Tx,
  messages: readonly NewToDeviceMessage[],
): Promise<void> {
  const bytesByUser = new Map<NewToDeviceMessage['userId'], number>()
  for (const { userId, deviceId, content } of messages) {
    if (deviceId === '*') bytesByUser.set(userId, (bytesByUser.get(userId) ?? 0) + content.length)
  }
  const bytes = [...bytesByUser.values()].reduce((sum, each) => sum + each, 0)
  if (bytes * limits.counts.devices <= limits.totals.to_device_request) return
  const devices = await countDevicesOf(tx, [...bytesByUser.keys()])
  const copied = [...bytesByUser].reduce((sum, [userId, each]) => sum + each * (devices.get(userId) ?? 0), 0)
  requireTotal(limits, 'to_device_request', copied)
}
