import { LRUCache } from 'lru-cache'
import type { DeviceId, UserId } from '../../core/ids.ts'
import type { Logger } from '../../infra/logger.ts'
import type { StreamTail } from '../../infra/stream-tail.ts'
import type { PresenceState } from '../../storage/schema/presence.ts'
import { createPresenceWriter, type PresenceWriter, type WriterCapabilities } from './presence-writer.ts'

/** A device with its presence. */
export type PresentDevice = { userId: UserId; deviceId: DeviceId | null; presence: PresenceState }

/** The presence of the devices that sync with this process. */
export type DevicePresence = {
  readonly writer: PresenceWriter
  /**
   * Records that a sync begins; `settled` resolves when other users can see the change. `end` has to be called once.
   */
  beginSync(device: PresentDevice): { settled: Promise<void>; end(): void }
  /** Sets the presence that a user chooses. */
  set(device: PresentDevice & { statusMsg: string | null | undefined }): Promise<void>
  /** Records that the user is active. */
  noteActivity(userId: UserId): void
  /** Removes devices that have not synced for a while. */
  sweep(): Promise<void>
  /**
   * Marks everything as unwritten after another process has deleted this process's rows: the next syncs write it again.
   */
  forget(): void
}

type Capabilities = WriterCapabilities & { stream: StreamTail; logger: Logger }

type Known = {
  device: PresentDevice
  syncs: number
  /** When the last sync ended. */
  lastTs: number
  /** Whether it is in the database. */
  isWritten: boolean
}

/** How long a device counts as present after its last sync. */
const GONE_MS = 30_000
/** Minimum interval between writes of activity. */
const ACTIVITY_MS = 60_000
const REMEMBERED_USERS = 20_000

/** Tracks the presence of devices in one process. */
export function createDevicePresence(app: Capabilities): DevicePresence {
  const writer = createPresenceWriter(app)
  const devices = createKnownDevices(app, writer)
  const activity = new LRUCache<UserId, number>({ max: REMEMBERED_USERS })

  const write = async (
    known: Known,
    { everywhere = false, ...more }: { isActive: boolean; statusMsg?: string | null | undefined; everywhere?: boolean },
  ): Promise<void> => {
    const { userId, ...device } = known.device
    if (more.isActive) activity.set(userId, app.clock.now())
    known.isWritten = true
    try {
      await writer.write({ userId, device: { ...device, everywhere }, ...more })
    } catch (error) {
      known.isWritten = false
      throw error
    }
  }

  const warn = (error: unknown) => app.logger.warn({ err: error }, 'presence update failed')

  return {
    writer,
    beginSync(device) {
      // Such a sync says nothing: the user may have set another presence, or another sync of the device may be running.
      if (device.presence === 'offline') return { settled: Promise.resolve(), end() {} }
      let known = devices.find(device)
      const isNews = known?.device.presence !== device.presence
      const isWritten = known?.isWritten === true && !isNews
      if (isNews || !known) known = devices.remember(device)
      const synced = known
      synced.syncs++
      const isActive = isNews && device.presence === 'online'
      return {
        settled: isWritten ? Promise.resolve() : write(synced, { isActive }).catch(warn),
        end() {
          const last = devices.find(device) ?? synced
          last.syncs = Math.max(0, last.syncs - 1)
          last.lastTs = app.clock.now()
        },
      }
    },
    set({ statusMsg, ...device }) {
      const known = devices.remember(device)
      if (device.presence !== 'offline') return write(known, { isActive: device.presence === 'online', statusMsg })
      devices.drop(device)
      // Other processes may know the device, and would notice its silence later.
      return write(known, { isActive: false, statusMsg, everywhere: true })
    },
    noteActivity(userId) {
      const last = activity.get(userId)
      if (last !== undefined && app.clock.now() - last < ACTIVITY_MS) return
      activity.set(userId, app.clock.now())
      writer.write({ userId, isActive: true }).catch(warn)
    },
    sweep: devices.sweep,
    forget: devices.forget,
  }
}

/** Creates the table of devices that sync with this process. */
function createKnownDevices(app: Capabilities, writer: PresenceWriter) {
  const devices = new Map<UserId, Map<DeviceId | null, Known>>()

  // Another process may have written a newer presence of the user.
  app.stream.subscribe((rows) => {
    for (const { kind, user_id, detail } of rows) {
      if (kind !== 'presence' || user_id === null || detail === writer.processId) continue
      for (const known of devices.get(user_id)?.values() ?? []) known.isWritten = false
    }
  })

  const remember = (device: PresentDevice): Known => {
    const ofUser = devices.get(device.userId) ?? new Map<DeviceId | null, Known>()
    devices.set(device.userId, ofUser)
    const known = { device, syncs: ofUser.get(device.deviceId)?.syncs ?? 0, lastTs: app.clock.now(), isWritten: true }
    ofUser.set(device.deviceId, known)
    return known
  }

  const leave = async (known: Known): Promise<void> => {
    const { userId, deviceId } = known.device
    const ofUser = devices.get(userId)
    ofUser?.delete(deviceId)
    if (ofUser?.size === 0) devices.delete(userId)
    try {
      await writer.write({ userId, device: { deviceId, presence: 'offline' }, isActive: false })
    } catch (error) {
      // The next sweep retries.
      if (!devices.get(userId)?.has(deviceId)) remember(known.device).lastTs = known.lastTs
      throw error
    }
  }

  return {
    remember,
    find: ({ userId, deviceId }: PresentDevice) => devices.get(userId)?.get(deviceId),
    drop: ({ userId, deviceId }: PresentDevice) => devices.get(userId)?.delete(deviceId),
    async sweep(): Promise<void> {
      const before = app.clock.now() - GONE_MS
      const gone = [...devices.values()]
        .flatMap((ofUser) => [...ofUser.values()])
        .filter(({ syncs, lastTs }) => syncs === 0 && lastTs <= before)
      await Promise.all(gone.map(leave))
    },
    forget(): void {
      for (const ofUser of devices.values()) for (const known of ofUser.values()) known.isWritten = false
    },
  }
}
