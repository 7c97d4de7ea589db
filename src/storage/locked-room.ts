import type { StateKey } from '../core/events/pdu.ts'
import type { EventId, RoomId } from '../core/ids.ts'
import type { RoomVersion } from '../core/room-versions.ts'
import type { TrieNode } from '../core/state-trie.ts'
import type { Db, Tx } from './database.ts'
import { readStateEvents } from './room-state.ts'
import type { RoomHeadRow } from './schema.ts'
import type { StoredEvent } from './stored-event.ts'

/** What one event changes beside adding itself. */
export type AppendedEvent = StoredEvent & { readonly json: string; readonly rejected_reason: string | null }

/** The head of a room as a command sees and advances it; a new object after each event, so that a failed command leaves no trace. */
export type RoomHead = Omit<RoomHeadRow, 'room_version'> & { version: RoomVersion }

/**
 * A room whose row lock this transaction holds, with the events that its commands have appended so far.
 * Nothing is written before all commands of the transaction have run: a command that throws is undone by forgetting its part.
 */
export type LockedRoom = {
  readonly db: Db
  /** Undefined until the create event of a new room is appended. */
  head: RoomHead | undefined
  readonly isNew: boolean
  /** The id that the creating command chose for a new room; unused in room version 12 and later, where it follows from the create event. */
  newRoomId: RoomId | undefined
  /** In the order of appending. */
  events: AppendedEvent[]
  nodes: Map<number, TrieNode>
  /** Events that a redaction in `events` empties, with their new JSON. */
  redactions: { event_id: EventId; json: string; redacted_by: EventId }[]
  /** Further writes of the commands, made after the events are stored, in the same transaction. They must not fail for reasons of input: check before. */
  writes: ((tx: Tx) => Promise<void>)[]
  /** Rooms that commands in this one have created: all become real together, or nothing does. */
  newRooms: LockedRoom[]
}

/** A room that is to be created. */
export function emptyRoom(db: Db): LockedRoom {
  return {
    db,
    head: undefined,
    isNew: true,
    newRoomId: undefined,
    events: [],
    nodes: new Map(),
    redactions: [],
    writes: [],
    newRooms: [],
  }
}

/** A room that a command creates in the same transaction as its changes to `room`; its first event has to follow. */
export function createRoomBeside(room: LockedRoom): LockedRoom {
  const created = emptyRoom(room.db)
  room.newRooms.push(created)
  return created
}

/** A room that a command may change. Throws when the room has no create event yet. */
export function headOf(room: LockedRoom): RoomHead {
  if (!room.head) throw new Error('the room has no create event yet')
  return room.head
}

/** The id of a locked room. */
export function roomIdOf(room: LockedRoom): RoomId {
  return headOf(room).room_id
}

/** Reads the room's current state, events appended in this transaction included. */
export function readLockedState(room: LockedRoom, keys: readonly StateKey[]): Promise<(StoredEvent | undefined)[]> {
  const root = room.head?.state_root ?? 0
  const events = new Map(room.events.map((event) => [event.event_nid, event]))
  return readStateEvents(room.db, root, keys, { nodes: room.nodes, events })
}

/** Remembers the room as it is, to `restore` it when a command fails. */
export function snapshotOf(room: LockedRoom): () => void {
  const { head, newRoomId, events, nodes, redactions, writes, newRooms } = room
  const kept = {
    head,
    newRoomId,
    events: [...events],
    nodes: new Map(nodes),
    redactions: [...redactions],
    writes: [...writes],
    newRooms: [...newRooms],
  }
  return () => Object.assign(room, kept)
}
