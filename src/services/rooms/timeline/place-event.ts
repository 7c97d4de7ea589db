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
import { reviveSticky } from './revive-sticky.ts'
import { stateChanges } from './state-changes.ts'

type Placing = { version: RoomVersion; event: AppendedEvent }

/**
 * Appends an accepted event to the end of a room, and advances the room's head. In rooms with forks, the current state
 * before and after it differs from the event's own states, and the changes may be other events.
 */
export async function placeEvent(
  app: Pick<App, 'takeNids' | 'serverName' | 'clock'>,
  room: LockedRoom,
  placing: Placing,
): Promise<AppendedEvent> {
  const before = room.head?.state_root ?? 0
  const placed = await advance(app, room, placing)
  await reviveSticky(app, room, before)
  return placed
}

async function advance(
  app: Pick<App, 'takeNids' | 'serverName'>,
  room: LockedRoom,
  { version, event }: Placing,
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

/** Maximum number of steps back from a new event to extremities that it replaces. */
const MAX_PASSED = 100
/** Maximum number of forward extremities: far more than rooms without a hostile server have. */
const MAX_FORKS = 100

/**
 * Returns the room's head after an event without successors. The current state resolves the states after all forward
 * extremities; in a room without forks it is the state after the event.
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

/** Drops extremities that the event follows through soft-failed or rejected events. */
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
 * Drops forward extremities beyond `MAX_FORKS`, one by one: the oldest of the server that has most. Each costs work for
 * every event, and one server can create thousands without any power.
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

/** Returns the changes of the current state between two state groups. */
async function changesOfState(room: LockedRoom, from: number, to: number): Promise<StateChange[]> {
  const { added, removed } = await readStateDiff(room.db, from, to, 'all', overlayOf(room))
  return stateChanges(removed, added)
}
