import type { App } from '../../../app.ts'
import { domainOf, type EventId, type RoomId } from '../../../core/ids.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import {
  type AppendedEvent,
  findLockedEvents,
  type LockedRoom,
  overlayOf,
  type RoomHead,
  type StateChange,
} from '../../../storage/rooms/timeline/locked-room.ts'
import { readStateDiff } from '../../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { followTombstone } from './follow-upgrade.ts'
import { resolveStates } from './resolve-states.ts'
import { stateChanges } from './state-changes.ts'

/**
 * Adds an accepted event to the end of a room, and advances the room's head. Where the room has forks, the current
 * state before and after it is other than the event's own, and what changes in it need not be the event.
 */
export async function placeEvent(
  app: Pick<App, 'takeNids' | 'serverName'>,
  room: LockedRoom,
  { version, event }: { version: RoomVersion; event: AppendedEvent },
): Promise<AppendedEvent> {
  const room_before = room.head?.state_root ?? 0
  const place = room.events.push(event) - 1
  room.head = await headWith(app, room, { version, event })
  const room_after = room.head.state_root
  if (room_before === event.state_before && room_after === event.state_after) {
    followTombstone(app, room, event)
    return event
  }
  const current_changes = await changesOfState(room, room_before, room_after)
  const placed = { ...event, room_before, room_after, current_changes }
  room.events[place] = placed
  followTombstone(app, room, placed)
  return placed
}

/** How many steps back from a new event are looked through for extremities that it makes an end of. */
const MAX_PASSED = 100
/** Forward extremities of a room: many times what rooms have that no hostile server is in. */
const MAX_FORKS = 100

/**
 * The head of a room after an event that nothing follows yet. Its current state is what the states after all forward
 * extremities resolve to; in a room without forks that is the state after the event.
 */
async function headWith(
  app: Pick<App, 'takeNids'>,
  room: LockedRoom,
  { version, event }: { version: RoomVersion; event: AppendedEvent },
): Promise<RoomHead> {
  const old = room.head
  const open = old?.forward_extremities.filter((id) => !event.prev_event_ids.includes(id)) ?? []
  const kept = open.length === 0 ? open : await withoutPassed(room, open, event.prev_event_ids)
  const others = kept.length === 0 ? [] : fewEnough(await findLockedEvents(room, kept))
  const stateAfter = event.state_after ?? 0
  const roots = [stateAfter, ...others.flatMap((other) => other.state_after ?? [])]
  return {
    room_id: event.room_id as RoomId,
    version,
    create_nid: old?.create_nid ?? event.event_nid,
    state_root: roots.length === 1 ? stateAfter : await resolveStates(app, room, { version, roots }),
    depth: Math.max(old?.depth ?? 0, event.pdu.depth),
    next_order: (event.event_order ?? 0) + 1,
    forward_extremities: [...others.map(({ event_id }) => event_id), event.event_id],
    is_partial: old?.is_partial ?? false,
  }
}

/**
 * Without those that the event follows by way of events that count for nothing, as they were soft-failed or rejected.
 */
async function withoutPassed(room: LockedRoom, open: EventId[], prevIds: readonly EventId[]): Promise<EventId[]> {
  const passed = new Set<EventId>()
  let wanted = [...prevIds]
  while (wanted.length > 0 && passed.size < MAX_PASSED) {
    const events = await findLockedEvents(room, wanted)
    const behind = events
      .filter((event) => event.soft_failed || event.rejected)
      .flatMap((event) => event.prev_event_ids)
    wanted = [...new Set(behind)].filter((id) => !passed.has(id))
    for (const id of wanted) passed.add(id)
  }
  return open.filter((id) => !passed.has(id))
}

/**
 * Drops forward extremities beyond `MAX_FORKS`, one for one: the oldest of the server that has most of them. Each of
 * them costs work for every event, and one server can make thousands without any power.
 */
function fewEnough(extremities: readonly StoredEvent[]): StoredEvent[] {
  const kept = [...extremities]
  while (kept.length >= MAX_FORKS) {
    const byServer = [...Map.groupBy(kept, ({ pdu }) => domainOf(pdu.sender)).values()]
    const [oldest] = byServer.reduce((most, each) => (each.length > most.length ? each : most))
    kept.splice(kept.indexOf(oldest!), 1)
  }
  return kept
}

/** What differs in the current state between two roots. */
async function changesOfState(room: LockedRoom, from: number, to: number): Promise<StateChange[]> {
  const { added, removed } = await readStateDiff(room.db, from, to, 'all', overlayOf(room))
  return stateChanges(removed, added)
}
