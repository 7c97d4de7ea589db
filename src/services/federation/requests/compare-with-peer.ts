import type { App } from '../../../app.ts'
import type { EventId, ServerName } from '../../../core/ids.ts'
import { DeniedServerError, FederationError } from '../../../infra/federation/federation-error.ts'
import { type EventNid, findEventNids } from '../../../storage/rooms/timeline/event-nids.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { type LockedRoom, overlayOf } from '../../../storage/rooms/timeline/locked-room.ts'
import { readStateNids } from '../../../storage/rooms/timeline/room-state.ts'
import { loadStateEntries } from '../../../storage/rooms/timeline/state-entries.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { type AskingApp, askEvents, askStateIds, type EventSource } from './ask-for-events.ts'

/** An event that this server and a peer have for one key of the state before the same event; null: none. */
export type PeerDifference = { type: string; state_key: string; ours: EventId | null; theirs: EventId | null }

/** How the state of a peer differs from ours before one event; lists are cut at `MOST_LISTED`. */
export type PeerComparison = {
  server: ServerName
  /** The event before which the states were compared: a forward extremity, or an earlier event that the peer knows. */
  event_id: EventId | null
  differences: PeerDifference[]
  differences_total: number
  /** Events of the peer's state and its auth chain that this server does not have. */
  missing_events: EventId[]
  missing_total: number
  /** Events of the peer's state whose type and state key nobody returned. */
  unknown_total: number
  /** Why nothing was compared; null: it was. */
  error: string | null
}

const MOST_LISTED = 100
/** Missing events that are fetched to learn their type and state key. */
const MOST_FETCHED = 100
/** Events that are tried before a peer counts as one that knows none of them. */
const MOST_TRIED = 20

/**
 * Compares the state before an event with that of a peer, at the same event: servers whose rooms end differently, or
 * which lack the newest events, still agree about it. An event that the peer does not know is replaced by one before
 * it. `stateBefore` returns the root of our state.
 */
export async function compareWithPeer(
  app: AskingApp & Pick<App, 'database'>,
  source: EventSource,
  { from, room, stateBefore }: { from: EventId; room: LockedRoom; stateBefore: (event: StoredEvent) => number | null },
): Promise<PeerComparison> {
  const nothing = { differences: [], differences_total: 0, missing_events: [], missing_total: 0, unknown_total: 0 }
  const failed = (error: string) => ({ server: source.server, event_id: null, ...nothing, error })
  let wanted = [from]
  const tried = new Set<EventId>()
  while (wanted.length > 0 && tried.size < MOST_TRIED) {
    const id = wanted.shift()!
    if (tried.has(id)) continue
    tried.add(id)
    const [event] = await loadEventsById(room.db, [id])
    const root = event && event.event_order !== null ? stateBefore(event) : null
    if (!event || root === null) continue
    try {
      const theirs = await collectState(app, source, id)
      return {
        server: source.server,
        event_id: id,
        ...(await compare(app, source, { room, root, theirs })),
        error: null,
      }
    } catch (error) {
      if (!(error instanceof FederationError)) throw error
      // Only a peer that answers can know another event.
      if (error instanceof DeniedServerError || (error.status !== 404 && error.status !== 403))
        return failed(error.message)
      wanted = [...wanted, ...event.prev_event_ids]
    }
  }
  return failed(`${source.server} knows none of the newest events of this server, or may not return their state`)
}

type TheirState = { state: Set<EventId>; all: Set<EventId> }

async function collectState(app: AskingApp, source: EventSource, eventId: EventId): Promise<TheirState> {
  const theirs: TheirState = { state: new Set(), all: new Set() }
  for await (const ids of askStateIds(app, source, eventId)) {
    for (const { id, isState } of ids) {
      theirs.all.add(id)
      if (isState) theirs.state.add(id)
    }
  }
  return theirs
}

async function compare(
  app: AskingApp & Pick<App, 'database'>,
  source: EventSource,
  { room, root, theirs }: { room: LockedRoom; root: number; theirs: TheirState },
): Promise<Omit<PeerComparison, 'server' | 'event_id' | 'error'>> {
  const overlay = overlayOf(room)
  const entries = await loadStateEntries(room.db, await readStateNids(room.db, root, 'all', overlay), overlay.events)
  const ours = new Map([...entries.values()].map((entry) => [entry.event_id, entry]))
  const stored = await findEventNids(app.database, [...theirs.all])
  const missing = [...theirs.all].filter((id) => !stored.has(id))
  const onlyTheirs = [...theirs.state].filter((id) => !ours.has(id))
  const keys = await keysOf(app, source, { ids: onlyTheirs, stored })
  const differences = new Map<string, PeerDifference>()
  const note = (type: string, state_key: string, which: { ours?: EventId; theirs?: EventId }) => {
    const key = `${type}\0${state_key}`
    differences.set(key, { type, state_key, ours: null, theirs: null, ...differences.get(key), ...which })
  }
  for (const [id, { type, state_key }] of ours) if (!theirs.state.has(id)) note(type, state_key, { ours: id })
  for (const [id, { type, state_key }] of keys) note(type, state_key, { theirs: id })
  return {
    ...{ differences: [...differences.values()].slice(0, MOST_LISTED), differences_total: differences.size },
    ...{ missing_events: missing.slice(0, MOST_LISTED), missing_total: missing.length },
    unknown_total: onlyTheirs.length - keys.size,
  }
}

/** Returns the keys of state events, from the database and, for missing ones, from the peer. */
async function keysOf(
  app: AskingApp & Pick<App, 'database'>,
  source: EventSource,
  { ids, stored }: { ids: readonly EventId[]; stored: ReadonlyMap<EventId, EventNid> },
): Promise<Map<EventId, { type: string; state_key: string }>> {
  const known = ids.flatMap((id) => stored.get(id) ?? []).filter((event) => event.is_state)
  const nids = known.map(({ event_nid }) => event_nid)
  const entries = await loadStateEntries(app.database, nids, new Map())
  const wanted = ids.filter((id) => !stored.has(id)).slice(0, MOST_FETCHED)
  const fetched = (await askEvents(app, source, wanted)).filter(({ pdu }) => pdu.state_key !== undefined)
  return new Map([
    ...[...entries.values()].map((entry) => [entry.event_id, entry] as const),
    ...fetched.map(({ event_id, pdu }) => [event_id, { type: pdu.type, state_key: pdu.state_key! }] as const),
  ])
}
