import type { EventId, RoomId } from '../../../core/ids.ts'
import type { StateKey } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import type { TrieNode } from '../../../core/rooms/state-trie.ts'
import type { Db, Tx } from '../../engine/database.ts'
import type { RoomHeadRow } from '../../schema/rooms.ts'
import type { StoredEvent } from '../../schema/stored-event.ts'
import { loadEventsById } from './events.ts'
import { readStateEvents, type StateOverlay } from './room-state.ts'

/** One piece of a room's current state that changed; `event` undefined: it is no more. */
export type StateChange = StateKey & { event: StoredEvent | undefined }

/** An event that a command adds, with what it changes. */
export type AppendedEvent = StoredEvent & {
  readonly json: string
  readonly rejected_reason: string | null
  /** How it changed the room's current state, where that is anything else than being the newest piece of it. */
  readonly current_changes?: readonly StateChange[]
  /** It was here before, as an outlier or rejected. */
  readonly was_stored?: boolean
  /** It is older than what is here, and no news. */
  readonly is_history?: boolean
  /** It was in the timeline before; only its states were found anew, and perhaps that it is to be rejected. */
  readonly is_restated?: boolean
  /** Roots of the states after predecessors that are not in the timeline, as other servers told them; 0: they have to be fetched. */
  readonly told_states?: ReadonlyMap<EventId, number>
  /** It brought this server into a room of which not all state is known. */
  readonly is_entry?: boolean
}

/** An event that a redaction empties. */
export type AppliedRedaction = {
  /** As the redaction leaves it. */
  readonly event: StoredEvent
  readonly json: string
  /** Whether it was part of the room's current state when that happened. */
  readonly wasCurrent: boolean
}

/** The head of a room as a command sees and advances it; a new object after each event, so that a failed command leaves no trace. */
export type RoomHead = Omit<RoomHeadRow, 'room_version' | 'has_other_servers' | 'restatements'> & {
  version: RoomVersion
}

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
  /** Whether other servers were in the room before this transaction. */
  readonly hasOtherServers: boolean
  /**
   * The nids of those of `events` that this server has to send to the others in the room: what our users make, and what others make of joins,
   * leaves and knocks through us. https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
   */
  outgoing: number[]
  nodes: Map<number, TrieNode>
  /** Roots of what some states resolved to, by their roots in ascending order. */
  resolutions: Map<string, number>
  /** Events that redactions empty. */
  redactions: AppliedRedaction[]
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
    hasOtherServers: false,
    outgoing: [],
    nodes: new Map(),
    resolutions: new Map(),
    redactions: [],
    writes: [],
    newRooms: [],
  }
}

/** A room as it is now, for reading alone: its lock is not held, and what is made of it is forgotten. */
export function roomToRead(db: Db, head: RoomHead): LockedRoom {
  return { ...emptyRoom(db), head, isNew: false }
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

/** Whether clients learn of an event as the newest of its room. */
export function isNews(event: AppendedEvent): boolean {
  return event.event_order !== null && !event.soft_failed && !event.is_history && !event.is_restated
}

/** The id of a locked room. */
export function roomIdOf(room: LockedRoom): RoomId {
  return headOf(room).room_id
}

/** Reads the room's current state, events appended in this transaction included. */
export function readLockedState(room: LockedRoom, keys: readonly StateKey[]): Promise<(StoredEvent | undefined)[]> {
  return readLockedStateAt(room, room.head?.state_root ?? 0, keys)
}

/** As `readLockedState`, of the state at a root. */
export function readLockedStateAt(
  room: LockedRoom,
  root: number,
  keys: readonly StateKey[],
): Promise<(StoredEvent | undefined)[]> {
  return readStateEvents(room.db, root, keys, overlayOf(room))
}

/** What this transaction has made in a room, for reading its states. */
export function overlayOf(room: LockedRoom): StateOverlay {
  const events = new Map<number, StoredEvent>(room.events.map((event) => [event.event_nid, event]))
  for (const { event } of room.redactions) events.set(event.event_nid, event)
  return { nodes: room.nodes, events }
}

/** Events by id, those appended in this transaction included; unknown ones are left out. */
export async function findLockedEvents(room: LockedRoom, ids: readonly EventId[]): Promise<StoredEvent[]> {
  const own = new Map<EventId, StoredEvent>(appendedEvents(room))
  for (const { event } of room.redactions) own.set(event.event_id, event)
  const absent = ids.filter((id) => !own.has(id))
  const stored = absent.length > 0 ? await loadEventsById(room.db, absent) : []
  for (const event of stored) own.set(event.event_id, event)
  return ids.flatMap((id) => own.get(id) ?? [])
}

/** The events of this transaction by id. The last one counts: an event may be appended again when what it was refused for is known to be otherwise. */
export function appendedEvents(room: LockedRoom): Map<EventId, AppendedEvent> {
  return new Map(room.events.map((event) => [event.event_id, event]))
}

/** Remembers the room as it is, to `restore` it when a command fails. */
export function snapshotOf(room: LockedRoom): () => void {
  const { head, newRoomId, events, outgoing, nodes, resolutions, redactions, writes, newRooms } = room
  const kept = {
    head,
    newRoomId,
    events: [...events],
    outgoing: [...outgoing],
    nodes: new Map(nodes),
    resolutions: new Map(resolutions),
    redactions: [...redactions],
    writes: [...writes],
    newRooms: [...newRooms],
  }
  return () => Object.assign(room, kept)
}
