import type { App } from '../../../app.ts'
import type { EventId } from '../../../core/ids.ts'
import type { PartialEvent } from '../../../storage/rooms/membership/partial-rooms.ts'
import { loadEvents, loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { type AppendedEvent, headOf, type LockedRoom, overlayOf } from '../../../storage/rooms/timeline/locked-room.ts'
import { readStateDiff } from '../../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { applyEarlyRedactions, applyRemoteRedaction } from './apply-redaction.ts'
import { changeLockedState } from './change-locked-state.ts'
import { judgeRemoteEvent } from './judge-remote-event.ts'
import { releaseEvents } from './release-events.ts'
import { resolveStates } from './resolve-states.ts'
import { stateChanges } from './state-changes.ts'

type Capabilities = Pick<App, 'takeNids'>

/** The result: the room's events, and the state groups of its current state before and after. */
export type RecomputedRoom = { events: readonly AppendedEvent[]; before: number; after: number }

/** The room after the events processed so far. */
type Progress = {
  root: number
  /** The forward extremities, with the state groups after them. */
  ends: Map<EventId, number>
  /** Prev events that were not in the timeline when a successor was added. */
  passed: Set<EventId>
  done: Map<EventId, AppendedEvent>
  /** Redactions that were withheld from clients and are valid now. */
  redactions: StoredEvent[]
  /** Order of the first event; events with a lower one are history. */
  firstOrder: number
  nextOrder: number
}

/**
 * Un-partial-states a room: replays its events in the order in which they were added, now that the states after their
 * missing prev events are known. Finds the states before and after each, checks it again, and advances the room. Events
 * may become rejected, or accepted; the latter reach clients as new. Everything but the members is then written as for
 * any command; for members see `storeFoundMembers`.
 */
export async function recomputeStates(
  app: Capabilities,
  room: LockedRoom,
  partial: readonly PartialEvent[],
): Promise<RecomputedRoom> {
  const head = headOf(room)
  const events = await loadEvents(
    room.db,
    partial.map(({ event_nid }) => event_nid),
  )
  const progress: Progress = {
    root: 0,
    ends: new Map(),
    passed: new Set(),
    done: new Map(),
    redactions: [],
    firstOrder: events.get(partial[0]?.event_nid ?? 0)?.event_order ?? 1,
    nextOrder: head.next_order,
  }
  for (const each of partial) {
    const event = events.get(each.event_nid)
    if (event) await recompute(app, room, { event, partial: each, progress })
  }
  return finish(room, { before: head.state_root, progress })
}

type Recomputing = { event: StoredEvent; partial: PartialEvent; progress: Progress }

async function recompute(
  app: Capabilities,
  room: LockedRoom,
  { event, partial, progress }: Recomputing,
): Promise<void> {
  const { version } = headOf(room)
  const stateBefore = await stateBeforeOf(app, room, { event, partial, progress })
  const authEvents = await find(room, progress, event.auth_event_ids)
  const verdict = await judgeRemoteEvent(room, { version, event, authEvents, stateBefore, skipsCurrent: true })
  const isRejected = verdict.outcome === 'rejected'
  const { type, state_key } = event.pdu
  const changes = state_key === undefined || isRejected ? [] : [{ type, state_key, event_nid: event.event_nid }]
  const state_after = await changeLockedState(app, room, { root: stateBefore, changes })
  const isRevived = event.rejected && !isRejected
  const judged: AppendedEvent = {
    ...event,
    json: JSON.stringify(event.pdu),
    event_order: isRejected ? null : isRevived ? progress.nextOrder++ : event.event_order,
    state_before: stateBefore,
    state_after,
    room_before: stateBefore,
    room_after: state_after,
    rejected: isRejected,
    rejected_reason: isRejected ? verdict.reason : null,
    current_changes: [],
    was_stored: true,
    is_recomputed: !isRevived,
  }
  const recomputed = isRevived ? await withRedactions(room, judged, progress) : judged
  progress.done.set(event.event_id, await place(app, room, { event: recomputed, partial, progress }))
  // State resolution loads events of the room, and has to see which are rejected now.
  if (event.rejected !== isRejected) room.events.push(recomputed)
  for (const id of Object.keys(partial.received_states)) progress.passed.add(id as EventId)
}

/** Follows from the prev events. If their states are unknown, the state stays unchanged. */
async function stateBeforeOf(
  app: Capabilities,
  room: LockedRoom,
  { event, partial, progress }: Recomputing,
): Promise<number> {
  const received = partial.received_states
  const others = await find(
    room,
    progress,
    event.prev_event_ids.filter((id) => received[id] === undefined),
  )
  const roots = [...Object.values(received), ...others.flatMap((prev) => prev.state_after ?? [])]
  return roots.length > 0 ? resolveStates(app, room, { version: headOf(room).version, roots }) : event.state_before!
}

async function find(room: LockedRoom, { done }: Progress, ids: readonly EventId[]): Promise<StoredEvent[]> {
  const stored = await loadEventsById(
    room.db,
    ids.filter((id) => !done.has(id)),
  )
  const found = new Map<EventId, StoredEvent>(stored.map((event) => [event.event_id, event]))
  return ids.flatMap((id) => done.get(id) ?? found.get(id) ?? [])
}

async function withRedactions(room: LockedRoom, event: AppendedEvent, progress: Progress): Promise<AppendedEvent> {
  const { version } = headOf(room)
  progress.redactions.push(...(await applyEarlyRedactions(room, version, event)))
  if (event.pdu.type !== 'm.room.redaction') return event
  return { ...event, soft_failed: !(await applyRemoteRedaction(room, version, event)) }
}

/** Advances the room by an event, as its first arrival did. */
async function place(
  app: Capabilities,
  room: LockedRoom,
  { event, partial, progress }: Recomputing & { event: AppendedEvent },
): Promise<AppendedEvent> {
  const { rejected, soft_failed, event_order, event_id, state_after } = event
  const isHistory = event_order !== null && event_order < progress.firstOrder
  if (rejected || isHistory) return event
  const room_before = progress.root
  if (partial.is_entry) progress.ends.clear()
  // An event that arrived after its successors changes neither head nor state.
  if (!soft_failed && !progress.passed.has(event_id)) {
    for (const id of followedBy(event, progress)) progress.ends.delete(id)
    progress.ends.set(event_id, state_after!)
    const roots = [...progress.ends.values()]
    progress.root = await resolveStates(app, room, { version: headOf(room).version, roots })
  }
  return { ...event, room_before, room_after: progress.root }
}

/** Returns the predecessors of an event, also through soft-failed and rejected ones. */
function followedBy({ prev_event_ids }: StoredEvent, { done }: Progress): Set<EventId> {
  const followed = new Set<EventId>(prev_event_ids)
  for (const id of followed) {
    const prev = done.get(id)
    if (prev?.rejected || prev?.soft_failed) for (const behind of prev.prev_event_ids) followed.add(behind)
  }
  return followed
}

async function finish(
  room: LockedRoom,
  { before, progress }: { before: number; progress: Progress },
): Promise<RecomputedRoom> {
  const head = headOf(room)
  // If not even the join was allowed, the head stays at the join's prev events.
  const after = progress.ends.size > 0 ? progress.root : before
  const ends = progress.ends.size > 0 ? [...progress.ends.keys()] : head.forward_extremities
  room.head = {
    ...head,
    is_partial: false,
    state_root: after,
    next_order: progress.nextOrder,
    forward_extremities: ends,
  }
  // Newly accepted events come after all others.
  const events = [...progress.done.values()].map((event) =>
    event.is_recomputed ? event : { ...event, room_before: after, room_after: after },
  )
  const { added, removed } = await readStateDiff(room.db, before, after, 'rest', overlayOf(room))
  const last = events.at(-1)
  if (last) events[events.length - 1] = { ...last, current_changes: stateChanges(removed, added) }
  room.events = events
  const released = progress.redactions.map((redaction) => progress.done.get(redaction.event_id) ?? redaction)
  releaseEvents(room, released)
  return { events, before, after }
}
