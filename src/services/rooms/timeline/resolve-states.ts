import type { App } from '../../../app.ts'
import type { EventId, RoomId, UserId } from '../../../core/ids.ts'
import type { Event } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { resolveState } from '../../../core/state-resolution/resolve-state.ts'
import { parseStateKeyId, type StateMap, stateKeyId } from '../../../core/state-resolution/state-map.ts'
import { loadWithAuthChains } from '../../../storage/rooms/timeline/auth-chains.ts'
import { appendedEvents, type LockedRoom, overlayOf } from '../../../storage/rooms/timeline/locked-room.ts'
import { readNidDiff, readStateNids } from '../../../storage/rooms/timeline/room-state.ts'
import { loadStateEntries, type StateEntry } from '../../../storage/rooms/timeline/state-entries.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { changeLockedState } from './change-locked-state.ts'

type Capabilities = Pick<App, 'takeNids'>

/**
 * Resolves states of a room, by their state groups, and returns the resulting state group. Results are cached.
 * https://spec.matrix.org/v1.19/server-server-api/#room-state-resolution
 */
export async function resolveStates(
  app: Capabilities,
  room: LockedRoom,
  { version, roots }: { version: RoomVersion; roots: readonly number[] },
): Promise<number> {
  const distinct = [...new Set(roots)].sort((a, b) => a - b)
  const [only, another] = distinct
  if (another === undefined) return only ?? 0
  const key = distinct.join(' ')
  const known = room.resolutions.get(key) ?? room.db.caches.resolutions.get(key)
  if (known !== undefined) return known
  const root = await resolveDistinct(app, room, { version, roots: distinct })
  room.resolutions.set(key, root)
  return root
}

async function resolveDistinct(
  app: Capabilities,
  room: LockedRoom,
  { version, roots }: { version: RoomVersion; roots: readonly number[] },
): Promise<number> {
  const states = await loadStates(room, roots)
  const { state, events } = await resolveLoaded(room, version, states.sets)
  const nidOf = (id: EventId) => states.nids.get(id) ?? events.get(id)!.event_nid
  const [nearest] = states.sets
    .map((set, place) => ({ root: roots[place]!, changes: changesBetween(set, state, nidOf) }))
    .sort((a, b) => a.changes.length - b.changes.length)
  return changeLockedState(app, room, nearest!)
}

type States = { sets: StateMap[]; nids: ReadonlyMap<EventId, number> }

/** Loads the states of some state groups; shared parts are read once. */
async function loadStates(room: LockedRoom, roots: readonly number[]): Promise<States> {
  const overlay = overlayOf(room)
  const [first = 0, ...others] = roots
  const shared = await readStateNids(room.db, first, 'all', overlay)
  const diffs = []
  for (const to of others) diffs.push(await readNidDiff(room.db, { from: first, to, part: 'all' }, overlay))
  const nids = new Set([...shared, ...diffs.flatMap(({ added }) => added)])
  const entries = await loadStateEntries(room.db, nids, overlay.events)
  const base = new Map(shared.map((nid) => pairOf(entries.get(nid)!)))
  const sets = diffs.map(({ added, removed }) => {
    const set = new Map(base)
    for (const nid of removed) set.delete(pairOf(entries.get(nid)!)[0])
    for (const nid of added) set.set(...pairOf(entries.get(nid)!))
    return set
  })
  return {
    sets: [base, ...sets],
    nids: new Map([...entries.values()].map(({ event_id, event_nid }) => [event_id, event_nid])),
  }
}

function pairOf({ type, state_key, event_id }: StateEntry): [string, EventId] {
  return [stateKeyId(type, state_key), event_id]
}

/** Resolves states, and loads the events that the resolution needs, with their auth chains. */
async function resolveLoaded(
  room: LockedRoom,
  version: RoomVersion,
  sets: readonly StateMap[],
): Promise<{ state: StateMap; events: ReadonlyMap<EventId, StoredEvent> }> {
  const events = new Map<EventId, StoredEvent>()
  const own = appendedEvents(room)
  const lost = new Map<EventId, Event>()
  for (;;) {
    const resolution = resolveState(version, sets, (id) => events.get(id) ?? lost.get(id))
    if ('state' in resolution) return { state: resolution.state, events }
    await loadWithAuthChains(room.db, resolution.missing, events, own)
    for (const id of resolution.missing) if (!events.has(id)) lost.set(id, lostEvent(id))
  }
}

/** Returns a placeholder for an event that could never be fetched: it allows nothing, and references nothing. */
function lostEvent(id: EventId): Event {
  return {
    event_id: id,
    room_id: '' as RoomId,
    pdu: {
      type: '',
      sender: '' as UserId,
      content: {},
      origin_server_ts: 0,
      depth: 0,
      prev_events: [],
      auth_events: [],
      hashes: { sha256: '' },
      signatures: {},
    },
    auth_event_ids: [],
    prev_event_ids: [],
    rejected: true,
  }
}

function changesBetween(from: StateMap, to: StateMap, nidOf: (id: EventId) => number) {
  const changes: { type: string; state_key: string; event_nid: number }[] = []
  for (const [key, id] of to) if (from.get(key) !== id) changes.push({ ...parseStateKeyId(key), event_nid: nidOf(id) })
  for (const key of from.keys()) if (!to.has(key)) changes.push({ ...parseStateKeyId(key), event_nid: 0 })
  return changes
}
