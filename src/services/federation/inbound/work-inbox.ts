import type { RoomId } from '../../../core/ids.ts'
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
/** When a process dies, others take over its rooms after this time. */
const LEASE_MS = 15_000

/**
 * Creates the inbox of a process. `roomsAtOnce`: the number of rooms processed concurrently, not counting those that
 * wait for other servers.
 */
export function createInbox(app: InboxApp, roomsAtOnce = ROOMS_AT_ONCE): Inbox {
  const holder = app.random.token(12)
  const working = new Map<RoomId, Promise<void>>()
  const worker = createRoomWorker(app, holder)

  async function look(): Promise<void> {
    if (app.stopping.aborted) return
    await worker.tellArrivals((rooms) => findInboxArrivals(app.database, rooms))
    const waiting = worker.waitingRooms()
    const limit = Math.min(roomsAtOnce - (working.size - waiting), ROOMS_HELD - working.size)
    if (limit <= 0) return
    const now = app.clock.now()
    for (const roomId of await app.database.writeLazily((tx) =>
      leaseInboxRooms(tx, { holder, now, until: now + LEASE_MS, limit }),
    )) {
      // The lease may have expired while this process was stalled.
      if (working.has(roomId)) continue
      const work = workOn(roomId).finally(() => working.delete(roomId))
      working.set(roomId, work)
    }
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
    async renew() {
      if (working.size === 0) return
      await app.database.writeLazily((tx) => renewInboxLeases(tx, { holder, until: app.clock.now() + LEASE_MS }))
    },
    async idle() {
      while (working.size > 0) await Promise.all(working.values())
    },
    async stop() {
      await Promise.all(working.values())
      await app.database.writeLazily((tx) => releaseInboxRooms(tx, holder))
    },
  }
}
