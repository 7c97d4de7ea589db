import { ROOM_VERSIONS } from '../../testing/matrix/room-versions.ts'
import type { LyingServer } from '../harness/lying-server.ts'
import type { PeerRoom } from '../harness/peer-room.ts'
import type { Draw } from './draw.ts'

/** A room that the peer has joined. */
export type PeerPlace = {
  room: PeerRoom
  /** Its users there. */
  members: string[]
  /** Whether these may send state. */
  hasPower: boolean
  /** Whether a local user has joined; undefined: not tried yet. */
  isShared?: boolean
  /** The number of events it has sent there. */
  sent: number
}

/** Rooms of the peer, of all versions, and rooms of the homeserver that it has joined; the latest few of each. */
export type PeerPlaces = {
  pick(draw: Draw): PeerPlace
  pickOwn(draw: Draw): PeerPlace
  enter(room: PeerRoom, member: string): void
  /** Returns own rooms that no user was asked to join yet. */
  unshared(): PeerPlace[]
  /** Returns whether it is in no room of the homeserver. */
  isStranger(): boolean
}

const KEPT = 3
/** A room with more events is replaced by a new one. */
const MOST_EVENTS = 250

export function peerPlaces(peer: LyingServer, users: readonly string[]): PeerPlaces {
  const own: PeerPlace[] = []
  const joined: PeerPlace[] = []

  function open(draw: Draw): PeerPlace {
    const room = peer.room({ version: draw.pick([...ROOM_VERSIONS.keys()]) })
    for (const user of users) {
      room.add({ type: 'm.room.member', sender: user, state_key: user, content: { membership: 'join' } })
    }
    const place = { room, members: [room.creator, room.creator, ...users], hasPower: true, sent: 0 }
    own.push(place)
    if (own.length > KEPT) peer.rooms.delete(own.shift()!.room.roomId)
    return place
  }

  function pickOwn(draw: Draw): PeerPlace {
    const shared = own.filter(({ isShared }) => isShared)
    const place = own.length === 0 || draw.happens(0.02) ? open(draw) : draw.pick(shared.length > 0 ? shared : own)
    return place.sent > MOST_EVENTS ? open(draw) : place
  }

  return {
    pickOwn,
    pick(draw) {
      const open = joined.filter(({ sent }) => sent <= MOST_EVENTS)
      return open.length > 0 && draw.happens(0.5) ? draw.pick(open) : pickOwn(draw)
    },
    enter(room, member) {
      joined.push({ room, members: [member], hasPower: false, isShared: true, sent: 0 })
      if (joined.length > KEPT) joined.shift()
    },
    unshared: () => own.filter(({ isShared }) => isShared === undefined),
    isStranger: () => joined.length === 0,
  }
}
