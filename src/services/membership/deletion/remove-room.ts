import { setTimeout as pause } from 'node:timers/promises'
import type { App } from '../../../app.ts'
import { clientEvent } from '../../../core/events/client-event.ts'
import type { RoomId } from '../../../core/ids.ts'
import { isPresent } from '../../../core/rooms/membership.ts'
import type { Tx } from '../../../storage/engine/database.ts'
import { deleteRoomRows } from '../../../storage/rooms/removal/delete-room-rows.ts'
import { deleteOldDepartures } from '../../../storage/rooms/removal/room-departures.ts'
import {
  announceRemoval,
  beginRemoval,
  endRemoval,
  isBeingRemoved,
  isRoomQueued,
  type LocalMember,
  loadLocalMembers,
  lockRemoval,
  type RoomDeparture,
} from '../../../storage/rooms/removal/room-removals.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import { loadRoomVersions } from '../../../storage/rooms/timeline/room-versions.ts'

/** How long to wait for other servers to receive the leaves of the local users. */
const MAX_SENDING_MS = 15_000
const LOOK_MS = 100
/** In this time, every process learns what is in the stream. */
const LEARNT_MS = 2500

/** Counts rows that are deleted, in the transaction that deletes them. */
type Note = (tx: Tx, deleted: number) => Promise<void>

type Removal = {
  /** Whether a room stays that a local user is in, invited to or knocking on. */
  unlessUsed: boolean
  note: Note
}

/**
 * Deletes everything about a room. First it disappears for everybody, in one transaction; then its rows are deleted in
 * small ones. If the process dies, another call goes on. Until the end, nobody can enter the room.
 */
export async function removeRoom(app: App, roomId: RoomId, { unlessUsed, note }: Removal): Promise<void> {
  if (!(await isBeingRemoved(app.database, roomId))) {
    await untilSent(app, roomId)
    await disappear(app, roomId, unlessUsed)
    if (unlessUsed && !(await isBeingRemoved(app.database, roomId))) return
  }
  await untilLearnt(app)
  await deleteRows(app, roomId, note)
  // Requests that were under way may have cached events, or stored some.
  await app.database.write(async (tx) => announceRemoval(tx, roomId))
  await untilLearnt(app)
  await deleteRows(app, roomId, note)
  await app.database.write((tx) => endRemoval(tx, roomId))
}

/** Waits until servers that can be reached know that nobody of this server is in the room. */
async function untilSent(app: App, roomId: RoomId): Promise<void> {
  for (let waited = 0; waited < MAX_SENDING_MS && (await isRoomQueued(app.database, roomId)); waited += LOOK_MS)
    await pause(LOOK_MS, undefined, { signal: app.stopping })
}

/** With the room locked, so that nobody enters it between the look at its members and the end. */
async function disappear(app: App, roomId: RoomId, unlessUsed: boolean): Promise<void> {
  const now = app.clock.now()
  await app.rooms.run(
    roomId,
    async (room) => {
      room.writes.push(async (tx) => {
        await lockRemoval(tx, roomId)
        const members = await loadLocalMembers(tx, roomId)
        if (unlessUsed && members.some(({ membership }) => isPresent(membership))) return
        await deleteOldDepartures(tx, now)
        await beginRemoval(tx, { roomId, departures: await departuresOf(app, tx, { roomId, members }), now })
      })
    },
    { goesFirst: true },
  )
}

/** Returns the local members with the leaves that their clients get. */
async function departuresOf(
  app: App,
  tx: Tx,
  { roomId, members }: { roomId: RoomId; members: readonly LocalMember[] },
): Promise<RoomDeparture[]> {
  const version = (await loadRoomVersions(tx, [roomId])).get(roomId)
  const events = await loadEvents(
    tx,
    members.map(({ event_nid }) => event_nid),
  )
  return members.map((member) => {
    const { user_id: userId, event_nid } = member
    const last = events.get(event_nid)
    if (isPresent(member.membership) || !last || !version)
      return { userId, event: JSON.stringify(madeLeave(app, userId)), left: undefined }
    const { room_id: _, ...event } = clientEvent(last, version)
    return { userId, event: JSON.stringify(event), left: { nid: event_nid, ts: last.pdu.origin_server_ts } }
  })
}

/** For a member who could not be removed before the room was deleted. */
function madeLeave({ random, clock }: Pick<App, 'random' | 'clock'>, userId: string): object {
  return {
    type: 'm.room.member',
    state_key: userId,
    sender: userId,
    content: { membership: 'leave' },
    event_id: `$${random.token(32)}`,
    origin_server_ts: clock.now(),
  }
}

async function untilLearnt(app: App): Promise<void> {
  // The embedded database has one process, which knows its own commits.
  if (app.database.engine === 'postgresql') await pause(LEARNT_MS, undefined, { signal: app.stopping })
}

async function deleteRows(app: App, roomId: RoomId, note: Note): Promise<void> {
  for (let from: number | undefined = 0; from !== undefined; ) {
    app.stopping.throwIfAborted()
    const at: number = from
    from = await app.database.write(async (tx) => {
      const result = await deleteRoomRows(tx, roomId, at)
      if (result.deleted > 0) await note(tx, result.deleted)
      return result.from
    })
  }
}
