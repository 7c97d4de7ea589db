import type { App } from '../../../app.ts'
import type { EventId } from '../../../core/ids.ts'
import type { PartialEvent } from '../../../storage/rooms/membership/partial-rooms.ts'
import { loadEvents, loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { type AppendedEvent, headOf, type LockedRoom, overlayOf } from '../../../storage/rooms/timeline/locked-room.ts'
import { readStateDiff } from '../../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { applyEarlyRedactions, applyRemoteRedaction, releaseRedactions } from './apply-redaction.ts'
import { changeLockedState } from './change-locked-state.ts'
import { judgeRemoteEvent } from './judge-remote-event.ts'
import { resolveStates } from './resolve-states.ts'
import { stateChanges } from './state-changes.ts'

type Capabilities = Pick<App, 'takeNids'>

/** What became of a room: its events, and the roots of its current state before and after. */
export type RestatedRoom = { events: readonly AppendedEvent[]; before: number; after: number }

/** Where the room stands after the events looked at so far. */
type Progress = {
  root: number
  /** The ends of the graph, with the states after them. */
  ends: Map<EventId, number>
  /** Predecessors that were not in the timeline when something that follows them was added. */
  passed: Set<EventId>
  done: Map<EventId, AppendedEvent>
  /** What was withheld from clients and holds now. */
  redactions: StoredEvent[]
  /** Place of the first event: what has a lower one is history. */
  firstOrder: number
  nextOrder: number
}

/**
 * Goes through the events of a room that was partial, in the order in which they were added, now that the states after
 * what they follow are known: finds the states before and after each, judges it again, and advances the room. What was
 * accepted and should not have been is rejected; what was rejected and should not have been comes as news. All but the
 * members is then written as for any command; for members see `storeFoundMembers`.
 */
export async function restateRoom(
  app: Capabilities,
  room: LockedRoom,
  partial: readonly PartialEvent[],
): Promise<RestatedRoom> {
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
    if (event) await restate(app, room, { event, partial: each, progress })
  }
  return finish(room, { before: head.state_root, progress })
}

type Restating = { event: StoredEvent; partial: PartialEvent; progress: Progress }

async function restate(app: Capabilities, room: LockedRoom, { event, partial, progress }: Restating): Promise<void> {
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
    is_restated: !isRevived,
  }
  const restated = isRevived ? await withRedactions(room, judged, progress) : judged
  progress.done.set(event.event_id, await place(app, room, { event: restated, partial, progress }))
  // State resolution, which looks for events in the room, has to see what is rejected now and what is not any more.
  if (event.rejected !== isRejected) room.events.push(restated)
  for (const id of Object.keys(partial.told_states)) progress.passed.add(id as EventId)
}

/** From what the event follows; where nothing is known of that, it keeps what it has. */
async function stateBeforeOf(
  app: Capabilities,
  room: LockedRoom,
  { event, partial, progress }: Restating,
): Promise<number> {
  const told = partial.told_states
  const others = await find(
    room,
    progress,
    event.prev_event_ids.filter((id) => told[id] === undefined),
  )
  const roots = [...Object.values(told), ...others.flatMap((prev) => prev.state_after ?? [])]
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
  { event, partial, progress }: Restating & { event: AppendedEvent },
): Promise<AppendedEvent> {
  const { rejected, soft_failed, event_order, event_id, state_after } = event
  const isHistory = event_order !== null && event_order < progress.firstOrder
  if (rejected || isHistory) return event
  const room_before = progress.root
  if (partial.is_entry) progress.ends.clear()
  // What came late, when what follows it had been here before it, changes nothing but that it is there.
  if (!soft_failed && !progress.passed.has(event_id)) {
    for (const id of followedBy(event, progress)) progress.ends.delete(id)
    progress.ends.set(event_id, state_after!)
    const roots = [...progress.ends.values()]
    progress.root = await resolveStates(app, room, { version: headOf(room).version, roots })
  }
  return { ...event, room_before, room_after: progress.root }
}

/** What an event follows, also by way of events that count for nothing. */
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
): Promise<RestatedRoom> {
  const head = headOf(room)
  // Where not even the join was allowed, there is nothing that events could follow but what they followed before.
  const after = progress.ends.size > 0 ? progress.root : before
  const ends = progress.ends.size > 0 ? [...progress.ends.keys()] : head.forward_extremities
  room.head = {
    ...head,
    is_partial: false,
    state_root: after,
    next_order: progress.nextOrder,
    forward_extremities: ends,
  }
  // News comes after all that has happened.
  const events = [...progress.done.values()].map((event) =>
    event.is_restated ? event : { ...event, room_before: after, room_after: after },
  )
  const { added, removed } = await readStateDiff(room.db, before, after, 'rest', overlayOf(room))
  const last = events.at(-1)
  if (last) events[events.length - 1] = { ...last, current_changes: stateChanges(removed, added) }
  room.events = events
  const released = progress.redactions.map((redaction) => progress.done.get(redaction.event_id) ?? redaction)
  releaseRedactions(room, released, false)
  return { events, before, after }
}
