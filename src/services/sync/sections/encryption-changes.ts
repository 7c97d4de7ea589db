import type { App } from '../../../app.ts'
import type { RoomId } from '../../../core/ids.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import { type DeviceLists, deviceListChanges } from './device-lists.ts'
import { type SyncingDevice, syncToDevice, type ToDeviceSection } from './to-device.ts'

/** What encryption adds to an answer of /sync; sections without content are left out. */
type EncryptionChanges = {
  sections: { to_device?: { events: ToDeviceSection['events'] }; device_lists?: DeviceLists }
  /** What the next token acknowledges. */
  toDevice: number | undefined
}

/** Who syncs, and from where to where; see `syncToDevice` and `deviceListChanges`. */
type EncryptionSpan = SyncingDevice & {
  acknowledged: number | undefined
  from: number
  to: number
  rows: readonly StreamRow[]
  joined: ReadonlySet<RoomId>
}

/** Messages to the device, and changes of device lists, within the span of an incremental sync. */
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

/** All messages that wait for the device, for its first sync. */
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
