import { LRUCache } from 'lru-cache'
import type { DeviceId, RoomId, UserId } from '../../../core/ids.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'

/** The member events that a lazy-loading client has received, as far as this process knows. */
export type SentMembers = {
  /** Filters member events of a room to those that the client may not have. */
  unsent(roomId: RoomId, members: readonly StoredEvent[]): StoredEvent[]
  /** Records the member events of the current response. */
  note(roomId: RoomId, events: readonly StoredEvent[]): void
}

type Client = { userId: UserId; deviceId: DeviceId | null }
/** The client's position, undefined for none, and that of the current response. */
type Span = { from: number | undefined; to: number }

type Laziness = { lazyLoadMembers: boolean; includeRedundantMembers: boolean }

/** By the nid of a member event: the position of the first response with it. */
type SentPositions = Map<number, number>
type Memory = { rooms: LRUCache<string, SentPositions>; starts: LRUCache<string, number> }

const MOST_MEMBERS_OF_ROOM = 100
const MOST_MEMBERS = 500_000
const MOST_CLIENTS = 50_000

/** The members received by all clients of a process. */
export type SentMembersOfClients = {
  /** Adds the client's received members to the viewer of a sync, if it loads members lazily without redundant ones. */
  addTo<Viewer extends Client & { filter: Laziness }>(
    viewer: Viewer,
    span: Span,
  ): Viewer & { sentMembers?: SentMembers }
}

export function createSentMembers(): SentMembersOfClients {
  const memory: Memory = {
    rooms: new LRUCache({ maxSize: MOST_MEMBERS, sizeCalculation: ({ size }) => size + 1 }),
    starts: new LRUCache({ max: MOST_CLIENTS }),
  }
  return {
    addTo(viewer, span) {
      const { lazyLoadMembers, includeRedundantMembers } = viewer.filter
      return lazyLoadMembers && !includeRedundantMembers
        ? { ...viewer, sentMembers: sentMembersOf(memory, viewer, span) }
        : viewer
    },
  }
}

/**
 * Returns the members received with responses that the client has processed: lost responses, and those of other
 * processes or before an initial sync do not count.
 * https://spec.matrix.org/v1.19/client-server-api/#lazy-loading-room-members
 */
function sentMembersOf({ rooms, starts }: Memory, { userId, deviceId }: Client, { from, to }: Span): SentMembers {
  const client = `${userId}\0${deviceId ?? ''}`
  if (from === undefined) starts.set(client, to)
  const start = starts.get(client) ?? 0
  return {
    unsent(roomId, members) {
      const sent = from === undefined ? undefined : rooms.get(`${client}\0${roomId}`)
      if (!sent) return [...members]
      return members.filter(({ event_nid }) => !isBetween(sent.get(event_nid), start, from!))
    },
    note(roomId, events) {
      const members = events.filter(({ pdu }) => pdu.type === 'm.room.member')
      if (members.length === 0) return
      const key = `${client}\0${roomId}`
      const sent: SentPositions = rooms.get(key) ?? new Map()
      for (const { event_nid } of members) if (!isBetween(sent.get(event_nid), start, to)) sent.set(event_nid, to)
      for (const nid of sent.keys()) {
        if (sent.size <= MOST_MEMBERS_OF_ROOM) break
        sent.delete(nid)
      }
      // Set again, since its size has changed.
      rooms.set(key, sent)
    },
  }
}

function isBetween(position: number | undefined, from: number, to: number): boolean {
  return position !== undefined && position >= from && position <= to
}
