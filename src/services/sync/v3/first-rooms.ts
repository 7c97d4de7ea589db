import { hash } from 'node:crypto'
import type { App } from '../../../app.ts'
import type { RoomId } from '../../../core/ids.ts'
import { isPresent } from '../../../core/rooms/membership.ts'
import { loadRoomSummaries } from '../../../storage/rooms/room-heroes.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import type { NewestOfRoom } from '../../../storage/sync/sync-rooms.ts'
import { loadJoinSpans } from '../../rooms/access/join-spans.ts'
import { accountDataOfRooms } from '../sections/sync-account-data.ts'
import { allEphemeral, countReceipts } from '../sections/sync-ephemeral.ts'
import { type SyncViewer, syncRooms } from '../sections/sync-room.ts'
import { serveSticky, stickyOfRooms } from '../sections/sync-sticky.ts'
import { syncUnread } from '../sections/sync-unread.ts'
import { type Departure, departedRooms } from './departed-rooms.ts'
import { changeBy } from './room-changes.ts'
import { isInTimeline, type SyncedRooms } from './sync-response.ts'

type Reading = Pick<App, 'config' | 'database' | 'clock' | 'stream' | 'reading' | 'push' | 'sync'>

/** Rooms that are new to a client, with all their sections. */
export type FirstRooms = Omit<SyncedRooms, 'invite' | 'knock'>
/** `lastRoom`: the place of the last of these rooms, if not all fit into the response. */
export type SomeFirstRooms = { rooms: FirstRooms; lastRoom: string | undefined }

/** Limits of rooms read together: their number, and their estimated size. */
const MOST_ROOMS = 100
const MOST_BYTES = 16 * 1024 * 1024
/** Estimates: the state of a room without its members, a member, and a receipt. */
const STATE_BYTES = 20_000
const MEMBER_BYTES = 900
const RECEIPT_BYTES = 200

/** Returns a room's place in the order in which rooms are sent; `loadNewestOfRooms` computes the same. */
export function placeOfRoom(roomId: RoomId): string {
  return hash('md5', roomId)
}

/**
 * Returns joined and left rooms until the response is full; the rest comes with the next one. `to`: the response's
 * stream position.
 */
export async function firstRooms(
  app: Reading,
  viewer: SyncViewer,
  { rooms: wanted, to }: { rooms: readonly NewestOfRoom[]; to: number },
): Promise<SomeFirstRooms> {
  const { answers } = app.config.limits
  const rooms: FirstRooms = {
    join: new Map(),
    leave: new Map(),
    ephemeral: new Map(),
    accountData: new Map(),
    sticky: new Map(),
    unread: new Map(),
  }
  let left = answers.events
  let lastRoom: string | undefined
  for (const group of groupsOf(viewer, wanted, Math.min(MOST_BYTES, left))) {
    if (left <= 0) return { rooms, lastRoom }
    viewer.budget.state.left = answers.room_state
    const more = await roomsOfGroup(app, viewer, { group, to })
    left -=
      answers.room_state - viewer.budget.state.left + bytesOf(group) + countReceipts(more.ephemeral) * RECEIPT_BYTES
    addRooms(rooms, more)
    lastRoom = group.at(-1)!.place
  }
  return { rooms, lastRoom: undefined }
}

/** Adds rooms to those of a response; of a room in both, the added sections count. */
export function addRooms(rooms: FirstRooms, added: FirstRooms): void {
  for (const section of Object.keys(added) as (keyof FirstRooms)[]) {
    const target: Map<RoomId, unknown> = rooms[section]
    for (const [roomId, ofRoom] of added[section]) target.set(roomId, ofRoom)
  }
}

function* groupsOf(
  { filter }: SyncViewer,
  rooms: readonly NewestOfRoom[],
  mostBytes: number,
): Generator<NewestOfRoom[]> {
  let group: NewestOfRoom[] = []
  let bytes = 0
  for (const room of rooms) {
    const members = filter.lazyLoadMembers ? 0 : room.joinedMembers * MEMBER_BYTES
    const expected = room.bytes + STATE_BYTES + members
    if (group.length === MOST_ROOMS || (group.length > 0 && bytes + expected > mostBytes)) {
      yield group
      group = []
      bytes = 0
    }
    group.push(room)
    bytes += expected
  }
  if (group.length > 0) yield group
}

function bytesOf(rooms: readonly NewestOfRoom[]): number {
  return rooms.reduce((sum, { bytes }) => sum + bytes, 0)
}

async function roomsOfGroup(
  app: Reading,
  viewer: SyncViewer,
  { group, to }: { group: readonly NewestOfRoom[]; to: number },
): Promise<FirstRooms> {
  const joined = group.filter(({ membership }) => membership === 'join')
  const departed = group.filter(({ membership }) => !isPresent(membership))
  const events = await loadEvents(
    app.database,
    joined.flatMap(({ newest }) => newest),
  )
  const newest = new Map(
    joined.map((room) => [room.roomId, room.newest.flatMap((nid): StoredEvent[] => [events.get(nid) ?? []].flat())]),
  )
  const ids = joined.map(({ roomId }) => roomId)
  const withSticky = joined.filter(({ stickyUntil }) => stickyUntil > app.clock.now()).map(({ roomId }) => roomId)
  const [ephemeral, accountData, unread, stickyEvents, join, leave] = await Promise.all([
    allEphemeral(app, viewer, { roomIds: ids, to }),
    accountDataOfRooms(
      app,
      viewer,
      group.map(({ roomId }) => roomId),
    ),
    syncUnread(app, viewer, newest),
    stickyOfRooms(app, viewer, { roomIds: withSticky, to }),
    joinedRooms(app, viewer, { joined, newest }),
    departuresFrom(app, viewer, departed).then((departures) => departedRooms(app, viewer, departures)),
  ])
  const sticky = await serveSticky(app, viewer, { events: stickyEvents, isSent: isInTimeline(join) })
  return { join, leave, ephemeral, accountData, sticky, unread }
}

async function joinedRooms(
  app: Reading,
  viewer: SyncViewer,
  { joined, newest }: { joined: readonly NewestOfRoom[]; newest: ReadonlyMap<RoomId, StoredEvent[]> },
): Promise<SyncedRooms['join']> {
  const ids = joined.map(({ roomId }) => roomId)
  const summaries = await loadRoomSummaries(app.database, ids, viewer.userId)
  const spans = joined.map(({ roomId, stateRoot, lastOrder }) => {
    const bounds = { since: undefined, end: stateRoot, after: -Number.MAX_SAFE_INTEGER, last: lastOrder }
    return { roomId, ...bounds, newest: newest.get(roomId) ?? [], summary: summaries.get(roomId) }
  })
  return syncRooms(app, viewer, spans)
}

/** Returns rooms that the user has left at any time. */
async function departuresFrom(app: Reading, viewer: SyncViewer, rooms: readonly NewestOfRoom[]): Promise<Departure[]> {
  const nids = rooms.map(({ memberNid }) => memberNid)
  const [newest, spans] = await Promise.all([
    loadEvents(app.database, nids),
    loadJoinSpans(app, viewer.userId, new Set(rooms.map(({ roomId }) => roomId))),
  ])
  return nids.flatMap((nid) => {
    const last = newest.get(nid)
    if (!last) return []
    const end = spans.get(last.room_id)?.end
    const ended = end && changeBy(end)
    return { roomId: last.room_id, last: changeBy(last), ended, since: undefined, after: -Number.MAX_SAFE_INTEGER }
  })
}
