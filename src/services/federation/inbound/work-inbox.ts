import type { RoomId } from '../../../core/ids.ts'
import { type ActiveWork, createActiveWork } from '../../../infra/concurrency/active-work.ts'
import { startLeasedWorker } from '../../../infra/concurrency/leased-worker.ts'
import { createLeases } from '../../../infra/concurrency/leases.ts'
import {
  findInboxArrivals,
  leaseInboxRooms,
  releaseInboxRooms,
  renewInboxLeases,
} from '../../../storage/federation/federation-inbox.ts'
import type { Inbox } from './inbox.ts'
import { createRoomWorker, type InboxApp } from './work-inbox-room.ts'

const ROOMS_AT_ONCE = 64
/** Including waiting ones. */
const ROOMS_HELD = 2000
/** Poll interval for leases of dead processes and for ended back-offs. */
const LOOK_MS = 1000
/** When a process dies, others take over its rooms after this time. */
const LEASE_MS = 15_000

/**
 * Creates the inbox of a process. `roomsAtOnce`: the number of rooms processed concurrently, not counting those that
 * wait for other servers.
 */
export function createInbox(app: InboxApp, roomsAtOnce = ROOMS_AT_ONCE): Inbox {
  const leases = createLeases(app, LEASE_MS)
  const active: ActiveWork<RoomId, undefined> = createActiveWork()
  const worker = createRoomWorker(app, leases.holder)

  async function look(): Promise<void> {
    if (app.stopping.aborted) return
    await worker.tellArrivals((rooms) => findInboxArrivals(app.database, rooms))
    const waiting = worker.waitingRooms()
    const limit = Math.min(roomsAtOnce - (active.size - waiting), ROOMS_HELD - active.size)
    if (limit <= 0) return
    const lease = { ...leases.next(), limit }
    // A room may be active already: its lease may have expired while this process was stalled.
    for (const roomId of await app.database.writeLazily((tx) => leaseInboxRooms(tx, lease)))
      active.begin(roomId, undefined, () => workOn(roomId))
  }

  async function workOn(roomId: RoomId): Promise<void> {
    try {
      await worker.workOff(roomId)
    } catch (error) {
      app.logger.error({ err: error, room_id: roomId }, 'processing of inbox failed, will retry')
    }
  }

  return {
    look,
    idle: active.idle,
    start: () =>
      startLeasedWorker(app, {
        failure: 'processing of inbox failed, will retry',
        lookEvery: LOOK_MS,
        look,
        active,
        renew: {
          leaseMs: leases.ms,
          run: () => app.database.writeLazily((tx) => renewInboxLeases(tx, leases.next())),
        },
        release: () => app.database.writeLazily((tx) => releaseInboxRooms(tx, leases.holder)),
      }),
  }
}
