import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { loadMembersOfRooms, loadRoomSharers } from '../../../storage/devices/device-lists.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import { readEventsOfStates } from '../../../storage/rooms/timeline/room-state.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'

/**
 * Users whose keys a client has to query again, and users it no longer needs to track.
 * https://spec.matrix.org/v1.19/client-server-api/#e2e-extensions-to-sync
 */
export type DeviceLists = { changed: UserId[]; left: UserId[] }

/** A user's membership change in a room within the rows. */
type Move = {
  /** The nid of the event that caused the first change: the room's state before it has the initial membership. */
  firstNid: number
  wasJoined: boolean
  isJoined: boolean
  /** Whether the user was out of the room in between. */
  isBroken: boolean
}

type Moves = Map<RoomId, Map<UserId, Move>>

/** Users who may share a room with the user now and did not before, or the reverse. */
type Encounters = {
  newRooms: RoomId[]
  newMembers: { roomId: RoomId; userId: UserId }[]
  met: Set<UserId>
  parted: Set<UserId>
}

/**
 * Computes the device list changes for `userId` from stream rows up to `to`. `rows`: all that concern the user,
 * including rooms left since; `joined`: the user's rooms at their end. `changed` has users who share a room with the
 * user now and whose keys changed, or who shared none before (or not continuously, since changes in between were
 * missed). `left` has users who shared a room and now share none.
 */
export async function deviceListChanges(
  app: Pick<App, 'database'>,
  userId: UserId,
  { rows, joined, to }: { rows: readonly StreamRow[]; joined: ReadonlySet<RoomId>; to: number },
): Promise<DeviceLists> {
  const reported = reportedUsers(rows, userId)
  const moves = await membershipMoves(app, rows, { userId, joined })
  const completed = completedRooms(rows, joined)
  const isQuiet = reported.own.size === 0 && reported.others.size === 0 && moves.size === 0 && completed.length === 0
  if (isQuiet) return { changed: [], left: [] }
  const encounters = await encountersOf(app, moves, { userId, joined, completed })
  const sharers = await loadRoomSharers(app.database, {
    ...encounters,
    roomIds: joined,
    to,
    candidates: [...new Set([...reported.others, ...encounters.met, ...encounters.parted])],
  })
  const changed = sharers.filter(
    ({ user_id, throughout }) => reported.others.has(user_id) || (encounters.met.has(user_id) && !throughout),
  )
  const sharing = new Set(sharers.map(({ user_id }) => user_id))
  // New room mates get the user's device changes from now on, so the user's own devices must know the published state.
  const isNewToOthers = encounters.newRooms.length > 0 && encounters.met.size > 0
  return {
    changed: [
      ...new Set([...reported.own, ...(isNewToOthers ? [userId] : []), ...changed.map(({ user_id }) => user_id)]),
    ],
    left: [...encounters.parted].filter((other) => !sharing.has(other)),
  }
}

/** Returns the users in rows of kind 'device_list'. `own`: the user, and users whose keys the user has signed. */
function reportedUsers(rows: readonly StreamRow[], userId: UserId): { own: Set<UserId>; others: Set<UserId> } {
  const own = new Set<UserId>()
  const others = new Set<UserId>()
  for (const { kind, user_id, detail } of rows) {
    if (kind !== 'device_list' || user_id === null || detail?.startsWith('keyless ')) continue
    if (user_id !== userId) others.add(user_id)
    else own.add(detail?.startsWith('signatures ') ? (detail.slice('signatures '.length) as UserId) : userId)
  }
  return { own, others }
}

/** Returns encrypted rooms that finished a resync. */
function completedRooms(rows: readonly StreamRow[], joined: ReadonlySet<RoomId>): RoomId[] {
  return rows.flatMap(({ kind, room_id, detail }) =>
    kind === 'room_complete' && detail === 'encrypted' && room_id !== null && joined.has(room_id) ? room_id : [],
  )
}

async function membershipMoves(
  app: Pick<App, 'database'>,
  rows: readonly StreamRow[],
  { userId, joined }: { userId: UserId; joined: ReadonlySet<RoomId> },
): Promise<Moves> {
  const moves: Moves = new Map()
  const causes = new Map<RoomId, number>()
  for (const { kind, room_id, user_id, ref, detail } of rows) {
    if (kind === 'event' && room_id !== null && ref !== null) causes.set(room_id, ref)
    // Changes by state resolution follow the event that caused it.
    const cause = kind === 'event' || kind === 'state' ? causes.get(room_id as RoomId) : undefined
    if (cause === undefined || room_id === null || user_id === null) continue
    const ofRoom = moves.get(room_id) ?? new Map<UserId, Move>()
    const isJoined = detail === 'join'
    const known = ofRoom.get(user_id)
    ofRoom.set(user_id, {
      firstNid: known?.firstNid ?? cause,
      wasJoined: false,
      isJoined,
      isBroken: known?.isBroken || !isJoined,
    })
    moves.set(room_id, ofRoom)
  }
  for (const [roomId, users] of moves) if (!joined.has(roomId) && !users.has(userId)) moves.delete(roomId)
  await findBeginnings(app, moves)
  return moves
}

/** Fills in `wasJoined`. */
async function findBeginnings(app: Pick<App, 'database'>, moves: Moves): Promise<void> {
  const all = [...moves.values()].flatMap((users) => [...users].map(([userId, move]) => ({ userId, move })))
  const events = await loadEvents(
    app.database,
    all.map(({ move }) => move.firstNid),
  )
  const lookups = all.map(({ userId, move }) => ({
    root: events.get(move.firstNid)?.room_before ?? 0,
    type: 'm.room.member',
    state_key: userId,
  }))
  const before = await readEventsOfStates(app.database, lookups)
  for (const [place, { move }] of all.entries()) move.wasJoined = before[place]?.pdu.content.membership === 'join'
}

async function encountersOf(
  app: Pick<App, 'database'>,
  moves: Moves,
  { userId, joined, completed }: { userId: UserId; joined: ReadonlySet<RoomId>; completed: readonly RoomId[] },
): Promise<Encounters> {
  const encounters: Encounters = { newRooms: [...completed], newMembers: [], met: new Set(), parted: new Set() }
  const leftRooms: RoomId[] = []
  const strangers = new Set<UserId>()
  for (const [roomId, users] of moves) {
    const own = users.get(userId)
    const knew = own ? own.wasJoined : true
    if (!joined.has(roomId) && knew) leftRooms.push(roomId)
    if (joined.has(roomId) && own && (!own.wasJoined || own.isBroken)) encounters.newRooms.push(roomId)
    for (const [other, move] of users) {
      if (other === userId) continue
      if (knew && move.wasJoined && !(move.isJoined && joined.has(roomId))) encounters.parted.add(other)
      if (knew && !move.wasJoined && !joined.has(roomId)) strangers.add(other)
      if (!joined.has(roomId) || !move.isJoined || (move.wasJoined && !move.isBroken)) continue
      encounters.newMembers.push({ roomId, userId: other })
      encounters.met.add(other)
    }
  }
  for (const other of await loadMembersOfRooms(app.database, encounters.newRooms)) encounters.met.add(other)
  for (const other of await loadMembersOfRooms(app.database, leftRooms)) {
    if (!strangers.has(other)) encounters.parted.add(other)
  }
  encounters.met.delete(userId)
  encounters.parted.delete(userId)
  return encounters
}
