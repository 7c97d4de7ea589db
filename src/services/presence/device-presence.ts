import { LRUCache } from 'lru-cache'
import type { App } from '../../app.ts'
import type { DeviceId, UserId } from '../../core/ids.ts'
import { madeOnce } from '../../infra/concurrency/made-once.ts'
import type { PresenceState } from '../../storage/schema/presence.ts'
import { createPresenceWriter, type PresenceApp, type PresenceWriter } from './presence-writer.ts'

/** A device whose presence becomes known. */
export type PresentDevice = { userId: UserId; deviceId: DeviceId | null; presence: PresenceState }

/** What this process knows of the devices that reach it. */
export type DevicePresence = {
  readonly writer: PresenceWriter
  /** A sync begins; `settled` resolves when others see what it means. `end` has to be called once. */
  beginSync(device: PresentDevice): { settled: Promise<void>; end(): void }
  /** What a user says. */
  set(device: PresentDevice & { statusMsg: string | null | undefined }): Promise<void>
  /** The user did something. */
  noteActivity(userId: UserId): void
  /** Lets devices go that have not synced for a while. */
  sweep(): Promise<void>
  /** Writes everything anew with the next syncs: others forgot what this process wrote. */
  forget(): void
}

type Known = {
  device: PresentDevice
  syncs: number
  /** When the last sync ended. */
  lastTs: number
  /** Whether the database has it. */
  isWritten: boolean
}

/** How long a device counts as there after its last sync. */
const GONE_MS = 30_000
/** Activity is written at most this often. */
const ACTIVITY_MS = 60_000
const REMEMBERED_USERS = 20_000

const trackers = new WeakMap<App['stream'], DevicePresence>()

/** The presence of devices in a running server. */
export function devicePresenceOf(app: PresenceApp): DevicePresence {
  return madeOnce(trackers, app.stream, () => createDevicePresence(app))
}

function createDevicePresence(app: PresenceApp): DevicePresence {
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

  const warn = (error: unknown) => app.logger.warn({ err: error }, 'writing presence failed')

  return {
    writer,
    beginSync(device) {
      // Such a sync says nothing: the user may have said otherwise, or be there by another sync of the device.
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
      // The device may have reached other processes before, where its silence would be noticed later.
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

/** The devices that reach this process. */
function createKnownDevices(app: PresenceApp, writer: PresenceWriter) {
  const devices = new Map<UserId, Map<DeviceId | null, Known>>()

  // What another process wrote of a user may go beyond what this one wrote of the same device.
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
      // The next sweep tries again.
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
