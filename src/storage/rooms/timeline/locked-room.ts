import type { EventId, RoomId } from '../../../core/ids.ts'
import type { StateKey } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import type { TrieNode } from '../../../core/rooms/state-trie.ts'
import type { Db, Tx } from '../../engine/database.ts'
import type { RoomHeadRow } from '../../schema/rooms.ts'
import type { StoredEvent } from '../../schema/stored-event.ts'
import { loadEventsById } from './events.ts'
import { readStateEvents, type StateOverlay } from './room-state.ts'

/** A change of a room's current state; `event` undefined: the key was removed. */
export type StateChange = StateKey & { event: StoredEvent | undefined }

/** An event that a command appends, with its effects. */
export type AppendedEvent = StoredEvent & {
  readonly json: string
  readonly rejected_reason: string | null
  /** Its effect on the current state, if it is not simply the newest event of its key. */
  readonly current_changes?: readonly StateChange[]
  /** It was stored before, as an outlier or rejected. */
  readonly was_stored?: boolean
  /** It is older than the stored events, so clients do not get it as new. */
  readonly is_history?: boolean
  /** It was in the timeline before; only its states were recomputed, and it may now be rejected. */
  readonly is_recomputed?: boolean
  /**
   * State groups after prev events that are not in the timeline, as other servers returned them; 0: not fetched yet.
   */
  readonly received_states?: ReadonlyMap<EventId, number>
  /**
   * It counts as an ordinary event (core/events/sticky.ts): the policy server refused it, or it is history that the
   * current state does not allow.
   */
  readonly is_never_sticky?: boolean
  /** The join with which this server entered a partial room. */
  readonly is_entry?: boolean
}

/** The target of a redaction. */
export type AppliedRedaction = {
  /** Its redacted form. */
  readonly event: StoredEvent
  readonly json: string
  /** Whether it was part of the room's current state at that time. */
  readonly wasCurrent: boolean
}

/**
 * The head of a room as a command sees and advances it; a new object after each event, so that a failed command has no
 * effect.
 */
export type RoomHead = Omit<RoomHeadRow, 'room_version' | 'has_other_servers' | 'recomputations' | 'sticky_until'> & {
  version: RoomVersion
}

/**
 * A room whose row lock this transaction holds, with the events that its commands have appended. Nothing is written
 * before all commands of the transaction have run: the changes of a command that throws are discarded.
 */
export type LockedRoom = {
  readonly db: Db
  /** Undefined until the create event of a new room is appended. */
  head: RoomHead | undefined
  readonly isNew: boolean
  /** Whether administrators have blocked the room; false for rooms that this server does not have. */
  readonly isBlocked: boolean
  /** Root of the current state before this transaction. */
  readonly rootBefore: number
  /**
   * The id that the command chose for a new room; unused in room version 12 and later, where it is the hash of the
   * create event.
   */
  newRoomId: RoomId | undefined
  /** In the order of appending. */
  events: AppendedEvent[]
  /** Whether remote servers were in the room before this transaction. */
  readonly hasOtherServers: boolean
  /** Until when the room has sticky events from before this transaction, in milliseconds since 1970. */
  readonly stickyUntil: number
  /**
   * The nids of `events` that this server has to send to the other servers in the room: events of local users, and
   * joins, leaves and knocks of remote users through this server.
   * https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
   */
  outgoing: number[]
  nodes: Map<number, TrieNode>
  /** Resolved state groups by the roots of the input states, in ascending order. */
  resolutions: Map<string, number>
  /** Targets of redactions. */
  redactions: AppliedRedaction[]
  /**
   * Further writes of the commands, run after the events are stored, in the same transaction. They must not fail
   * because of input: check before.
   */
  writes: ((tx: Tx) => Promise<void>)[]
  /** Rooms that commands in this one have created: all are stored together, or none. */
  newRooms: LockedRoom[]
}

/** Returns a room that is to be created. */
export function emptyRoom(db: Db): LockedRoom {
  return {
    db,
    head: undefined,
    isNew: true,
    isBlocked: false,
    rootBefore: 0,
    newRoomId: undefined,
    events: [],
    hasOtherServers: false,
    stickyUntil: 0,
    outgoing: [],
    nodes: new Map(),
    resolutions: new Map(),
    redactions: [],
    writes: [],
    newRooms: [],
  }
}

/** Returns the room for reading: its lock is not held, and changes are discarded. */
export function roomToRead(db: Db, head: RoomHead): LockedRoom {
  return { ...emptyRoom(db), head, isNew: false }
}

/** Creates a room in the same transaction as the changes of `room`; the caller appends its first event. */
export function createRoomBeside(room: LockedRoom): LockedRoom {
  const created = emptyRoom(room.db)
  room.newRooms.push(created)
  return created
}

/** Returns the head of a room. Throws if the room has no create event yet. */
export function headOf(room: LockedRoom): RoomHead {
  if (!room.head) throw new Error('the room has no create event yet')
  return room.head
}

/** Whether clients receive an event as the newest of its room. */
export function isNewForClients(event: AppendedEvent): boolean {
  return event.event_order !== null && !event.soft_failed && !event.is_history && !event.is_recomputed
}

/** Returns the id of a locked room. */
export function roomIdOf(room: LockedRoom): RoomId {
  return headOf(room).room_id
}

/** Reads the room's current state, including events appended in this transaction. */
export function readLockedState(room: LockedRoom, keys: readonly StateKey[]): Promise<(StoredEvent | undefined)[]> {
  return readLockedStateAt(room, room.head?.state_root ?? 0, keys)
}

/** Like `readLockedState`, for the state at a root. */
export function readLockedStateAt(
  room: LockedRoom,
  root: number,
  keys: readonly StateKey[],
): Promise<(StoredEvent | undefined)[]> {
  return readStateEvents(room.db, root, keys, overlayOf(room))
}

/** Returns the uncommitted nodes and events of a room, for reading its states. */
export function overlayOf(room: LockedRoom): StateOverlay {
  const events = new Map<number, StoredEvent>(room.events.map((event) => [event.event_nid, event]))
  for (const { event } of room.redactions) events.set(event.event_nid, event)
  return { nodes: room.nodes, events }
}

/** Returns events by id, including those appended in this transaction; unknown ones are omitted. */
export async function findLockedEvents(room: LockedRoom, ids: readonly EventId[]): Promise<StoredEvent[]> {
  const own = new Map<EventId, StoredEvent>(appendedEvents(room))
  for (const { event } of room.redactions) own.set(event.event_id, event)
  const absent = ids.filter((id) => !own.has(id))
  const stored = absent.length > 0 ? await loadEventsById(room.db, absent) : []
  for (const event of stored) own.set(event.event_id, event)
  return ids.flatMap((id) => own.get(id) ?? [])
}

/**
 * Returns the events of this transaction by id. The last one wins: a rejected event may be appended again and then be
 * accepted.
 */
export function appendedEvents(room: LockedRoom): Map<EventId, AppendedEvent> {
  return new Map(room.events.map((event) => [event.event_id, event]))
}

/** Returns a function that restores the room to its current state when a command fails. */
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
