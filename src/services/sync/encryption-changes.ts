import type { App } from '../../app.ts'
import type { DeviceId, RoomId, UserId } from '../../core/ids.ts'
import type { StreamRow } from '../../storage/schema.ts'
import { type DeviceLists, deviceListChanges } from './device-lists.ts'
import { syncToDevice, type ToDeviceSection } from './to-device.ts'

/** What encryption adds to an answer of /sync; sections without content are left out. */
export type EncryptionChanges = {
  sections: { to_device?: { events: ToDeviceSection['events'] }; device_lists?: DeviceLists }
  /** What the next token acknowledges. */
  toDevice: number | undefined
}

/** Who syncs, and from where to where; see `syncToDevice` and `deviceListChanges`. */
export type EncryptionSpan = {
  userId: UserId
  deviceId: DeviceId | null
  acknowledged: number | undefined
  from: number
  to: number
  rows: readonly StreamRow[]
  joined: ReadonlySet<RoomId>
}

/** Messages to the device, and changes of device lists, within the span of an incremental sync. */
export async function encryptionChanges(app: Pick<App, 'database'>, span: EncryptionSpan): Promise<EncryptionChanges> {
  const [messages, lists] = await Promise.all([toDeviceOf(app, span), deviceListChanges(app, span.userId, span)])
  return {
    sections: {
      ...(messages.events.length > 0 && { to_device: { events: messages.events } }),
      ...((lists.changed.length > 0 || lists.left.length > 0) && { device_lists: lists }),
    },
    toDevice: messages.upTo,
  }
}

/** All messages that wait for the device, for its first sync. */
export async function waitingMessages(
  app: Pick<App, 'database'>,
  { userId, deviceId, to }: Pick<EncryptionSpan, 'userId' | 'deviceId' | 'to'>,
): Promise<EncryptionChanges> {
  const span = { userId, deviceId, acknowledged: undefined, from: 0, to, rows: [] }
  const messages = await toDeviceOf(app, span)
  return {
    sections: messages.events.length > 0 ? { to_device: { events: messages.events } } : {},
    toDevice: messages.upTo,
  }
}

async function toDeviceOf(
  app: Pick<App, 'database'>,
  { userId, deviceId, ...span }: Omit<EncryptionSpan, 'joined'>,
): Promise<ToDeviceSection> {
  return deviceId === null ? { events: [], upTo: undefined } : syncToDevice(app, { userId, deviceId }, span)
}
