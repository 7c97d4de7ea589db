import { type RoomId, type ServerName, serverNameOf, type UserId } from '../../../core/ids.ts'
import type { Db } from '../../../storage/engine/database.ts'
import { loadOtherServers } from '../../../storage/rooms/membership/other-servers.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import { readEventsOfStates } from '../../../storage/rooms/timeline/room-state.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'

/** A join or leave in a room that other servers are or were in. */
export type MemberMove = { roomId: RoomId; userId: UserId; server: ServerName; isOurs: boolean; isJoined: boolean }

/**
 * Returns the joins and leaves in stream rows; profile changes are left out, and so are rooms without other servers.
 */
export async function memberMoves(db: Db, ourName: ServerName, rows: readonly StreamRow[]): Promise<MemberMove[]> {
  const members = rows.flatMap(({ kind, room_id, user_id, ref, detail }) => {
    const isMember = (kind === 'event' || kind === 'state') && room_id !== null && user_id !== null
    if (!isMember || !user_id.includes(':')) return []
    const server = serverNameOf(user_id)
    const isJoined = detail === 'join'
    return [{ roomId: room_id, userId: user_id, server, isOurs: server === ourName, isJoined, kind, ref }]
  })
  const shared = await loadOtherServers(db, [...new Set(members.map((member) => member.roomId))])
  const concerned = members.filter(({ roomId, isOurs }) => shared.has(roomId) || !isOurs)
  const before = await membershipsBefore(db, concerned)
  // Changes by the resolution of a fork always count.
  return concerned.filter(({ kind, isJoined }, place) => kind === 'state' || (before[place] === 'join') !== isJoined)
}

async function membershipsBefore(
  db: Db,
  members: readonly { userId: UserId; ref: number | null }[],
): Promise<unknown[]> {
  const events = await loadEvents(
    db,
    members.flatMap(({ ref }) => ref ?? []),
  )
  const states = await readEventsOfStates(
    db,
    members.map(({ ref, userId }) => ({
      root: events.get(ref ?? 0)?.state_before ?? 0,
      type: 'm.room.member',
      state_key: userId,
    })),
  )
  return states.map((event) => event?.pdu.content.membership)
}
