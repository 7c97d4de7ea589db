import { setTimeout as pause } from 'node:timers/promises'
import type { App } from '../../../app.ts'
import type { RoomId, ServerName } from '../../../core/ids.ts'
import { type ActiveWork, createActiveWork } from '../../../infra/concurrency/active-work.ts'
import { jitteredBackOff } from '../../../infra/concurrency/back-off.ts'
import { startLeasedWorker } from '../../../infra/concurrency/leased-worker.ts'
import { createLeases, type Leases } from '../../../infra/concurrency/leases.ts'
import {
  leasePartialRooms,
  releasePartialRooms,
  renewPartialLeases,
  restPartialRoom,
} from '../../../storage/rooms/membership/partial-rooms.ts'
import { isRoomHere } from '../../../storage/rooms/membership/room-servers.ts'
import type { PartialRoomRow } from '../../../storage/schema/federation.ts'
import { giveUpRoom, type ResyncApp, resyncRoom } from './resync-room.ts'

type Capabilities = ResyncApp & Pick<App, 'config' | 'random' | 'stream'>
/** Rooms that are being resynced, and the servers through which they were joined. */
type ActiveRooms = ActiveWork<RoomId, ServerName>

/** Poll interval for leases of dead processes and for ended back-offs. */
const LOOK_MS = 1000
/** When a process dies, others take over its rooms after this time. */
const LEASE_MS = 15_000
const AT_ONCE = 8
/**
 * Rooms joined through one server that are resynced concurrently: a server that streams members forever delays no
 * others.
 */
const AT_ONCE_OF_SERVER = 4
/**
 * A user who has just joined wants to read and write, for which resyncing a room of many servers would leave little
 * time.
 */
const HEAD_START_MS = 150
const MANY_SERVERS = 20
const BACK_OFF = { first: 1000, longest: 10 * 60_000 }
/** Number of attempts for a room without local users. */
const MOST_FAILURES_OUTSIDE = 8

/**
 * Resyncs rooms with partial state, each in one process at a time, also those of processes that died. `stop` waits for
 * work in progress.
 */
export function startResync(app: Capabilities): { stop(): Promise<void> } {
  if (!app.config.federation.enabled) return { stop: async () => {} }
  const leases = createLeases(app, LEASE_MS)
  const active: ActiveRooms = createActiveWork()
  return startLeasedWorker(app, {
    failure: 'resync of partial rooms failed, will retry',
    lookEvery: LOOK_MS,
    subscribe: ({ now }) =>
      app.stream.subscribe((rows) => {
        if (rows.some(({ kind }) => kind === 'room_partial')) now()
      }),
    async look() {
      while (active.size < AT_ONCE && !app.stopping.aborted && (await begin(app, leases, active)));
    },
    active,
    renew: {
      leaseMs: leases.ms,
      run: () => app.database.writeLazily((tx) => renewPartialLeases(tx, leases.next())),
    },
    release: () => app.database.writeLazily((tx) => releasePartialRooms(tx, leases.holder)),
  })
}

/** Acquires one room and begins with it; returns false if there is none. */
async function begin(app: Capabilities, leases: Leases, active: ActiveRooms): Promise<boolean> {
  const lease = { ...leases.next(), limit: 1, except: busyServers(active) }
  const [room] = await app.database.writeLazily((tx) => leasePartialRooms(tx, lease))
  if (room) active.begin(room.room_id, room.via, () => attempt(app, room, leases.holder))
  return room !== undefined
}

/** Lists the servers through which the maximum number of concurrently resynced rooms were joined. */
function busyServers(active: ActiveRooms): ServerName[] {
  const byServer = Map.groupBy(active.abouts(), (via) => via)
  return [...byServer].flatMap(([via, rooms]) => (rooms.length >= AT_ONCE_OF_SERVER ? [via] : []))
}

/** Never rejects: after a failure the room backs off. */
async function attempt(app: Capabilities, room: PartialRoomRow, holder: string): Promise<void> {
  const { room_id: roomId, failures } = room
  try {
    if (room.servers.length >= MANY_SERVERS) await pause(HEAD_START_MS, undefined, { signal: app.stopping })
    await resyncRoom(app, room)
  } catch (error) {
    if (app.stopping.aborted) return
    app.logger.warn({ err: error, room_id: roomId }, 'fetching members of a partial room failed, will retry')
    await backOff(app, room, holder).catch((fault) =>
      app.logger.error({ err: fault, room_id: roomId, failures }, 'release of room lease failed, lease will expire'),
    )
  }
}

async function backOff(
  app: Capabilities,
  { room_id: roomId, failures }: PartialRoomRow,
  holder: string,
): Promise<void> {
  const isHere = await isRoomHere(app.database, roomId)
  if (!isHere && failures >= MOST_FAILURES_OUTSIDE) return giveUpRoom(app, roomId)
  const retryTs = app.clock.now() + jitteredBackOff(failures, BACK_OFF, app.random)
  await app.database.writeLazily((tx) => restPartialRoom(tx, roomId, { holder, retryTs }))
}
