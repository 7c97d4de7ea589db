import type { App } from '../../../app.ts'
import type { EventId } from '../../../core/ids.ts'
import { followsGap, mayFillGap } from '../../../core/rooms/timeline-gaps.ts'
import { createCaches } from '../../../storage/engine/caches.ts'
import { loadEvents, loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { headOf, type LockedRoom, overlayOf, roomIdOf } from '../../../storage/rooms/timeline/locked-room.ts'
import { loadTimelineNids, type RecomputedStates } from '../../../storage/rooms/timeline/recomputed-states.ts'
import { readNidDiff, readStateEvents } from '../../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { changeLockedState } from '../timeline/change-locked-state.ts'
import { resolveStates } from '../timeline/resolve-states.ts'

type Capabilities = Pick<App, 'takeNids'>

/** A recomputation of the states of a room's events, as far as it is. */
export type Replay = {
  /** Events up to this order are done. */
  lastOrder: number
  events: number
  /** Events whose states differ from the stored ones. */
  changed: Map<EventId, RecomputedStates>
  /** Depth of the event with which this server entered the room. */
  readonly beginDepth: number
}

const PAGE = 500
const CACHE_BYTES = 16 * 1024 * 1024

/** Returns the room with caches of its own: what the process has cached may not be what is stored. */
export function withoutCaches(room: LockedRoom): LockedRoom {
  return { ...room, db: { ...room.db, caches: createCaches(CACHE_BYTES) }, resolutions: new Map() }
}

/** Begins a replay at the first event that is not history. */
export function beginReplay(beginDepth: number): Replay {
  return { lastOrder: 0, events: 0, changed: new Map(), beginDepth }
}

/**
 * Recomputes the states of a room's next events: from the events before them, by state resolution where the room had
 * forked. Events whose prev events were not here when they arrived keep their stored state, which came from another
 * server. Verdicts are kept too: rejected events stay rejected. Returns whether that were all. New trie nodes are added
 * to `room`, which should have no other changes.
 */
export async function replayPage(app: Capabilities, room: LockedRoom, replay: Replay): Promise<boolean> {
  const nids = await loadTimelineNids(room.db, roomIdOf(room), replay.lastOrder, PAGE)
  const events = await loadEvents(room.db, nids)
  const prevIds = new Set([...events.values()].flatMap(({ prev_event_ids }) => prev_event_ids))
  const known = await loadEventsById(room.db, [...prevIds])
  const prevs = new Map(known.map((event) => [event.event_id, event]))
  for (const nid of nids) {
    const event = events.get(nid)
    if (event) await replayEvent(app, room, { event, prevs, replay })
  }
  return nids.length < PAGE
}

type Replaying = { event: StoredEvent; prevs: ReadonlyMap<EventId, StoredEvent>; replay: Replay }

async function replayEvent(app: Capabilities, room: LockedRoom, { event, prevs, replay }: Replaying): Promise<void> {
  replay.lastOrder = event.event_order!
  replay.events++
  if (event.state_before === null || event.state_after === null) return
  const roots = rootsBefore({ event, prevs, replay })
  const before = roots ? await resolveAgain(app, room, { roots, stored: event.state_before }) : event.state_before
  const after = await stateAfter(app, room, event, before)
  if (before === event.state_before && after === event.state_after) return
  replay.changed.set(event.event_id, { event_nid: event.event_nid, state_before: before, state_after: after })
}

/** Returns the recomputed states after an event's prev events; undefined if the stored state before it has to be kept. */
function rootsBefore({ event, prevs, replay }: Replaying): number[] | undefined {
  if (event.pdu.type === 'm.room.create') return []
  if (followsGap(event.event_order) || (replay.beginDepth > 0 && event.pdu.depth <= replay.beginDepth)) return undefined
  const roots: number[] = []
  for (const id of event.prev_event_ids) {
    const prev = prevs.get(id)
    if (!prev || prev.state_after === null || !wasHere(prev, event)) return undefined
    roots.push(recomputedAfter(replay, prev)!)
  }
  return roots.length > 0 ? roots : undefined
}

/**
 * Whether a prev event was known when the event arrived; rejected ones have no order. Only in history, which is fetched
 * backwards, an event with a lower order may have come later.
 */
function wasHere(prev: StoredEvent, event: StoredEvent): boolean {
  const { event_order: order } = prev
  const isBefore = order === null || (order > 0 && order < event.event_order!)
  return isBefore && (!mayFillGap(event.event_order!) || prev.event_nid < event.event_nid)
}

/** Returns the recomputed state after an event; null if it has none. */
export function recomputedAfter(replay: Replay, event: StoredEvent): number | null {
  return replay.changed.get(event.event_id)?.state_after ?? event.state_after
}

/** Resolves states again. Returns the stored root if it holds the result. */
export async function resolveAgain(
  app: Capabilities,
  room: LockedRoom,
  { roots, stored }: { roots: readonly number[]; stored: number },
): Promise<number> {
  const apart: LockedRoom = { ...room, nodes: new Map(room.nodes), resolutions: new Map() }
  const resolved = await resolveStates(app, apart, { version: headOf(room).version, roots })
  const { added, removed } = await readNidDiff(
    room.db,
    { from: resolved, to: stored, part: 'all' },
    { nodes: apart.nodes, events: new Map() },
  )
  if (added.length + removed.length === 0) return stored
  for (const [address, node] of apart.nodes) room.nodes.set(address, node)
  return resolved
}

/** Returns the state after an event: the stored root if it holds just the change that the event makes. */
async function stateAfter(app: Capabilities, room: LockedRoom, event: StoredEvent, before: number): Promise<number> {
  const { type, state_key } = event.pdu
  if (state_key === undefined) return (await isSame(room, before, event.state_after!)) ? event.state_after! : before
  const key = { type, state_key, event_nid: event.event_nid }
  if (await isJustChanged(room, key, { before, after: event.state_after! })) return event.state_after!
  return changeLockedState(app, room, { root: before, changes: [key] })
}

async function isSame(room: LockedRoom, from: number, to: number): Promise<boolean> {
  const { added, removed } = await readNidDiff(room.db, { from, to, part: 'all' }, overlayOf(room))
  return added.length + removed.length === 0
}

async function isJustChanged(
  room: LockedRoom,
  { type, state_key, event_nid }: { type: string; state_key: string; event_nid: number },
  { before, after }: { before: number; after: number },
): Promise<boolean> {
  const overlay = overlayOf(room)
  const [old, now] = [await nidAt(room, before, type, state_key), await nidAt(room, after, type, state_key)]
  if (now !== event_nid) return false
  const { added, removed } = await readNidDiff(room.db, { from: before, to: after, part: 'all' }, overlay)
  if (old === event_nid) return added.length + removed.length === 0
  const gone = old === undefined ? [] : [old]
  return added.length === 1 && removed.length === gone.length && removed[0] === gone[0]
}

async function nidAt(room: LockedRoom, root: number, type: string, stateKey: string): Promise<number | undefined> {
  const [event] = await readStateEvents(room.db, root, [{ type, state_key: stateKey }], overlayOf(room))
  return event?.event_nid
}
