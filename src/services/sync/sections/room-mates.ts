import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { loadMembersOfRooms, loadRoomSharers } from '../../../storage/devices/device-lists.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import { readEventsOfStates } from '../../../storage/rooms/timeline/room-state.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'

/** Changes in which users share a room with a user. */
export type RoomMateChanges = {
  /** Users who share a room now and did not before, or not continuously, so that changes in between were missed. */
  met: Set<UserId>
  /** Users who shared a room and now share none. */
  parted: Set<UserId>
  /** Those of `others` who share a room now. */
  present: Set<UserId>
  /** Whether the user has entered rooms with others. */
  hasEntered: boolean
}

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
 * Computes from stream rows up to `to` which users `userId` has met and parted from. `rows`: all that concern the user,
 * including rooms left since; `joined`: the user's rooms at their end; `completed`: rooms whose members were written in
 * bulk. Users for whom `isWanted` is false are left out.
 */
export async function roomMateChanges(
  app: Pick<App, 'database'>,
  userId: UserId,
  {
    rows,
    joined,
    to,
    others = [],
    completed = [],
    isWanted = () => true,
  }: {
    rows: readonly StreamRow[]
    joined: ReadonlySet<RoomId>
    to: number
    others?: readonly UserId[]
    completed?: readonly RoomId[]
    isWanted?: (other: UserId) => boolean
  },
): Promise<RoomMateChanges> {
  const moves = await membershipMoves(app, rows, { userId, joined })
  if (others.length === 0 && moves.size === 0 && completed.length === 0) {
    return { met: new Set(), parted: new Set(), present: new Set(), hasEntered: false }
  }
  const encounters = await encountersOf(app, moves, { userId, joined, completed })
  const sharers = await loadRoomSharers(app.database, {
    ...encounters,
    roomIds: joined,
    to,
    candidates: [...new Set([...others, ...encounters.met, ...encounters.parted])].filter(isWanted),
  })
  const sharing = new Set(sharers.map(({ user_id }) => user_id))
  const { met, parted } = encounters
  return {
    met: new Set(sharers.flatMap(({ user_id, throughout }) => (met.has(user_id) && !throughout ? user_id : []))),
    parted: new Set([...parted].filter((other) => !sharing.has(other) && isWanted(other))),
    present: new Set(others.filter((other) => sharing.has(other))),
    hasEntered: encounters.newRooms.length > 0 && met.size > 0,
  }
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
