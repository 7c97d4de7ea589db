import type { App } from '../../../app.ts'
import type { RoomId } from '../../../core/ids.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import { type DeviceLists, deviceListChanges } from './device-lists.ts'
import { type SyncingDevice, syncToDevice, type ToDeviceSection } from './to-device.ts'

/** The encryption sections of a /sync response; empty ones are left out. */
type EncryptionChanges = {
  sections: { to_device?: { events: ToDeviceSection['events'] }; device_lists?: DeviceLists }
  /** The position that the next token acknowledges. */
  toDevice: number | undefined
}

/** The syncing device and the range; see `syncToDevice` and `deviceListChanges`. */
type EncryptionSpan = SyncingDevice & {
  acknowledged: number | undefined
  from: number
  to: number
  rows: readonly StreamRow[]
  joined: ReadonlySet<RoomId>
}

/** Returns to-device messages and device list changes of an incremental sync. */
export async function encryptionChanges(
  app: Pick<App, 'database' | 'config'>,
  span: EncryptionSpan,
): Promise<EncryptionChanges> {
  const [messages, lists] = await Promise.all([
    syncToDevice(app, span, span),
    deviceListChanges(app, span.userId, span),
  ])
  return {
    sections: {
      ...(messages.events.length > 0 && { to_device: { events: messages.events } }),
      ...((lists.changed.length > 0 || lists.left.length > 0) && { device_lists: lists }),
    },
    toDevice: messages.upTo,
  }
}

/** Returns all pending to-device messages, for an initial sync. */
export async function waitingMessages(
  app: Pick<App, 'database' | 'config'>,
  { to, ...device }: SyncingDevice & { to: number },
): Promise<EncryptionChanges> {
  const messages = await syncToDevice(app, device, { acknowledged: undefined, from: 0, to, rows: [] })
  return {
    sections: messages.events.length > 0 ? { to_device: { events: messages.events } } : {},
    toDevice: messages.upTo,
  }
}
