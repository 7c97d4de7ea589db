import type { App } from '../../../app.ts'
import type { EventId, ServerName } from '../../../core/ids.ts'
import { FederationError } from '../../../infra/federation/federation-error.ts'
import { type EventNid, findEventNids } from '../../../storage/rooms/timeline/event-nids.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { askEventAuth, askEvents, askStateIds, type EventSource, type LeftOut } from '../requests/ask-for-events.ts'
import { askState } from '../requests/ask-state.ts'
import { acceptReceived, type ReceivedState, receivedStateOf } from './accept-received.ts'
import { storeReferencedEvents } from './store-referenced-events.ts'

export type FetchingApp = Pick<App, 'federation' | 'keyRing' | 'logger' | 'database' | 'takeNids'>
export type Sources = EventSource & { others: readonly ServerName[] }

/** Above this number, events are not requested one by one. */
const MAX_SINGLE = 100

/**
 * Returns the answer of the first of a room's servers that can be reached and does not refuse. If all fail, throws a
 * retryable error if there is one, else the first. `onRefusal` is called for servers that answer with a refusal.
 */
export async function fromAny<Result>(
  source: Sources,
  ask: (source: EventSource) => Promise<Result>,
  onRefusal: () => void = () => {},
): Promise<Result> {
  let failure: FederationError | undefined
  for (const server of [source.server, ...source.others]) {
    try {
      return await ask({ ...source, server })
    } catch (error) {
      if (!(error instanceof FederationError)) throw error
      if (!error.retryable) onRefusal()
      if (failure === undefined || (error.retryable && !failure.retryable)) failure = error
    }
  }
  throw failure
}

/** Fetches the auth events of an event, as a whole chain or one by one; unavailable ones stay missing. */
export async function fetchAuthEvents(
  app: FetchingApp,
  source: Sources,
  { eventId, missing }: { eventId: EventId; missing: readonly EventId[] },
): Promise<void> {
  try {
    await storeReferencedEvents(app, source.version, await askEventAuth(app, source, eventId))
  } catch (error) {
    if (!(error instanceof FederationError)) throw error
  }
  const found = await findEventNids(app.database, missing)
  const left = missing.filter((id) => !found.has(id))
  if (left.length === 0) return
  const events = await askEvents(app, source, left.slice(0, MAX_SINGLE))
  const stored = await findEventNids(app.database, [...new Set(events.flatMap((event) => event.auth_event_ids))])
  const unknown = [...new Set(events.flatMap((event) => event.auth_event_ids))].filter((id) => !stored.has(id))
  const deeper = await askEvents(app, source, unknown.slice(0, MAX_SINGLE))
  await storeReferencedEvents(app, source.version, [...events, ...deeper])
}

/**
 * A state as the nids of its events; of two events for one key the later counts. `pieces`: their entries, if they were
 * just read.
 */
export type FetchedState = { nids: number[]; pieces?: ReceivedState[] }

/** The state after or before an event. */
type Moment = { eventId: EventId; isAfter: boolean }

/**
 * Fetches the state after an event that is not in the timeline. Missing events of it are fetched and stored; events
 * that cannot be verified for lack of keys are left out, even the event itself. If servers answer but refuse, as they
 * may for events from before a local user joined, uses the state before `follower`, an event that follows it. Throws
 * FederationError if no server answers, or none has the event itself.
 */
export async function fetchStateAfter(
  app: FetchingApp,
  source: Sources,
  eventId: EventId,
  follower?: EventId,
): Promise<FetchedState> {
  let isRefused = false
  const onRefusal = () => {
    isRefused = true
  }
  try {
    return await fetchStateAt(app, source, { eventId, isAfter: true }, onRefusal)
  } catch (error) {
    if (!(error instanceof FederationError)) throw error
    if (follower === undefined || !(isRefused || !error.retryable)) throw error
    app.logger.debug(
      { err: error, event_id: eventId, follower },
      'missing event not found on any server, fetching the state before its successor',
    )
    return await fetchStateBefore(app, source, follower).catch((failure: unknown) => {
      throw failure instanceof FederationError && !failure.retryable ? error : failure
    })
  }
}

/** Fetches the state before an event. Throws FederationError if no server answers. */
export function fetchStateBefore(app: FetchingApp, source: Sources, eventId: EventId): Promise<FetchedState> {
  return fetchStateAt(app, source, { eventId, isAfter: false })
}

async function fetchStateAt(
  app: FetchingApp,
  source: Sources,
  moment: Moment,
  onRefusal?: () => void,
): Promise<FetchedState> {
  const { eventId, isAfter } = moment
  const listed = await fromAny(source, (one) => askForState(app, one, moment), onRefusal)
  if (listed === undefined) return wholeStateAt(app, source, moment)
  const { state, found, missing } = listed
  const leftOut = new Map<EventId, LeftOut>()
  if (missing.length > 0) {
    const events = await askEvents(app, source, missing, (id, why) => leftOut.set(id, why))
    await storeReferencedEvents(app, source.version, events)
    for (const [id, event] of await findEventNids(app.database, missing)) found.set(id, event)
  }
  if (state.some((id) => !found.has(id) && !leftOut.has(id))) {
    // Servers return some events with the state that they do not return singly.
    const whole = await wholeStateAt(app, source, moment).catch(ignoreRefusal)
    if (whole) return whole
  }
  const event = found.get(eventId)
  if (isAfter && !event && leftOut.get(eventId) !== 'unverified') throw nobodyHas(eventId)
  const accepted = (each: EventNid | undefined) => (each?.is_state && !each.rejected ? [each.event_nid] : [])
  // Last, since it replaces the previous event of its state key.
  return { nids: [...state.flatMap((id) => accepted(found.get(id))), ...(isAfter ? accepted(event) : [])] }
}

function ignoreRefusal(error: unknown): undefined {
  if (!(error instanceof FederationError)) throw error
}

type ListedState = { state: EventId[]; found: Map<EventId, EventNid>; missing: EventId[] }

/**
 * Requests the IDs of the state before an event, and determines which events of it and of its auth chain are missing;
 * undefined if too many.
 */
async function askForState(
  app: FetchingApp,
  source: EventSource,
  { eventId, isAfter }: Moment,
): Promise<ListedState | undefined> {
  const listed: ListedState = { state: [], found: await findEventNids(app.database, [eventId]), missing: [] }
  const seen = new Set<EventId>([eventId])
  if (isAfter && !listed.found.has(eventId)) listed.missing.push(eventId)
  for await (const ids of askStateIds(app, source, eventId)) {
    for (const { id, isState } of ids) if (isState) listed.state.push(id)
    const fresh = [...new Set(ids.map(({ id }) => id))].filter((id) => !seen.has(id))
    const found = await findEventNids(app.database, fresh)
    for (const id of fresh) {
      seen.add(id)
      if (!found.has(id)) listed.missing.push(id)
    }
    for (const [id, event] of found) listed.found.set(id, event)
    if (listed.missing.length > MAX_SINGLE) return undefined
  }
  if (listed.state.length === 0 && !(await isCreate(app, eventId)))
    throw new FederationError(`${source.server} tells no state before ${eventId}`)
  return listed
}

/** Every event but the first has a state before it: an empty response counts as none. */
async function isCreate(app: FetchingApp, eventId: EventId): Promise<boolean> {
  const [event] = await loadEventsById(app.database, [eventId])
  return event?.pdu.type === 'm.room.create'
}

async function wholeStateAt(app: FetchingApp, source: Sources, { eventId, isAfter }: Moment): Promise<FetchedState> {
  const state = new Map<string, ReceivedState>()
  const set = (piece: ReceivedState) => state.set(`${piece.type}\0${piece.state_key}`, piece)
  const { isUnverified } = await takeState(app, source, { eventId, isAfter, onState: set })
  const [event] = isAfter ? await loadEventsById(app.database, [eventId]) : []
  if (isAfter && !event && !isUnverified) throw nobodyHas(eventId)
  if (event?.pdu.state_key !== undefined && !event.rejected) set(receivedStateOf(event.pdu, event.event_nid))
  const pieces = [...state.values()]
  return { nids: pieces.map(({ event_nid }) => event_nid), pieces }
}

function nobodyHas(eventId: EventId): FederationError {
  return new FederationError(`No server has the event ${eventId}`, { retryable: false })
}

/** Stores the state before an event and, for the state after it, the event, unless that cannot be verified now. */
async function takeState(
  app: FetchingApp,
  source: Sources,
  { eventId, isAfter, onState }: Moment & { onState: (piece: ReceivedState) => void },
): Promise<{ isUnverified: boolean }> {
  let isUnverified = false
  const note = (_: EventId, why: LeftOut) => {
    isUnverified = why === 'unverified'
  }
  const [own, listed] = await Promise.all([
    isAfter ? askEvents(app, source, [eventId], note) : [],
    fromAny(source, (one) => askState(app, one, eventId)),
  ])
  try {
    await acceptReceived(app, source, listed, onState)
  } finally {
    await listed.spool.close()
  }
  await storeReferencedEvents(app, source.version, own)
  return { isUnverified }
}
