import type { App } from '../../app.ts'
import type { EventId, ServerName } from '../../core/ids.ts'
import { FederationError } from '../../infra/federation-error.ts'
import { type EventNid, findEventNids } from '../../storage/event-nids.ts'
import { loadEventsById } from '../../storage/events.ts'
import { acceptReceived, type ReceivedState, receivedState } from './accept-received.ts'
import { askEventAuth, askEvents, askStateIds, type EventSource } from './ask-for-events.ts'
import { askState } from './ask-state.ts'
import { storeCitedEvents } from './store-cited-events.ts'

export type FetchingApp = Pick<App, 'federation' | 'keyRing' | 'logger' | 'database' | 'takeNids'>
export type Sources = EventSource & { others: readonly ServerName[] }

/** More events than this are not asked for one by one. */
const MAX_SINGLE = 100

/**
 * What the first of a room's servers tells that can be reached and does not refuse. Where all fail, throws what promises most: a failure after which
 * it may be tried again, else that of the first.
 */
export async function fromAny<Result>(source: Sources, ask: (source: EventSource) => Promise<Result>): Promise<Result> {
  let failure: FederationError | undefined
  for (const server of [source.server, ...source.others]) {
    try {
      return await ask({ ...source, server })
    } catch (error) {
      if (!(error instanceof FederationError)) throw error
      if (failure === undefined || (error.retryable && !failure.retryable)) failure = error
    }
  }
  throw failure
}

/** Gets the events that permit an event, by the whole chain or one by one; what cannot be had stays missing. */
export async function fetchAuthEvents(
  app: FetchingApp,
  source: Sources,
  { eventId, missing }: { eventId: EventId; missing: readonly EventId[] },
): Promise<void> {
  try {
    await storeCitedEvents(app, source.version, await askEventAuth(app, source, eventId))
  } catch (error) {
    if (!(error instanceof FederationError)) throw error
  }
  const found = await findEventNids(app.database, missing)
  const left = missing.filter((id) => !found.has(id))
  if (left.length === 0) return
  const events = await askEvents(app, source, left.slice(0, MAX_SINGLE))
  const cited = await findEventNids(app.database, [...new Set(events.flatMap((event) => event.auth_event_ids))])
  const unknown = [...new Set(events.flatMap((event) => event.auth_event_ids))].filter((id) => !cited.has(id))
  const deeper = await askEvents(app, source, unknown.slice(0, MAX_SINGLE))
  await storeCitedEvents(app, source.version, [...events, ...deeper])
}

/** A state as the nids of its events, the later one of two for the same piece counting; `pieces`: what these are, if they have just been read. */
export type FetchedState = { nids: number[]; pieces?: ReceivedState[] }

/**
 * The state after an event that this server does not have in the timeline, as another server tells it. What is missing of it is fetched and stored;
 * what cannot be verified, for keys cannot be had, is left out, be it the event itself. Throws FederationError when no server tells, or nobody has the
 * event itself.
 */
export async function fetchStateAfter(app: FetchingApp, source: Sources, eventId: EventId): Promise<FetchedState> {
  const told = await fromAny(source, (one) => askForState(app, one, eventId))
  if (told === undefined) return wholeStateAfter(app, source, eventId)
  const { state, found, missing } = told
  const unverified = new Set<EventId>()
  if (missing.length > 0) {
    const events = await askEvents(app, source, missing, (id) => unverified.add(id))
    await storeCitedEvents(app, source.version, events)
    for (const [id, event] of await findEventNids(app.database, missing)) found.set(id, event)
  }
  const event = found.get(eventId)
  if (!event && !unverified.has(eventId)) throw nobodyHas(eventId)
  const accepted = (each: EventNid | undefined) => (each?.is_state && !each.rejected ? [each.event_nid] : [])
  // Last, for it takes the place of what was there before it.
  return { nids: [...state.flatMap((id) => accepted(found.get(id))), ...accepted(event)] }
}

type ToldState = { state: EventId[]; found: Map<EventId, EventNid>; missing: EventId[] }

/** Which events the state before an event has, and which of these and of those that permit them are not here; undefined where those are many. */
async function askForState(app: FetchingApp, source: EventSource, eventId: EventId): Promise<ToldState | undefined> {
  const told: ToldState = { state: [], found: await findEventNids(app.database, [eventId]), missing: [] }
  const seen = new Set<EventId>([eventId])
  if (!told.found.has(eventId)) told.missing.push(eventId)
  for await (const ids of askStateIds(app, source, eventId)) {
    for (const { id, isState } of ids) if (isState) told.state.push(id)
    const fresh = [...new Set(ids.map(({ id }) => id))].filter((id) => !seen.has(id))
    const found = await findEventNids(app.database, fresh)
    for (const id of fresh) {
      seen.add(id)
      if (!found.has(id)) told.missing.push(id)
    }
    for (const [id, event] of found) told.found.set(id, event)
    if (told.missing.length > MAX_SINGLE) return undefined
  }
  if (told.state.length === 0 && !(await isCreate(app, eventId)))
    throw new FederationError(`${source.server} tells no state before ${eventId}`)
  return told
}

/** Before all others there is a state; a server that tells none has not answered. */
async function isCreate(app: FetchingApp, eventId: EventId): Promise<boolean> {
  const [event] = await loadEventsById(app.database, [eventId])
  return event?.pdu.type === 'm.room.create'
}

async function wholeStateAfter(app: FetchingApp, source: Sources, eventId: EventId): Promise<FetchedState> {
  const state = new Map<string, ReceivedState>()
  const set = (piece: ReceivedState) => state.set(`${piece.type}\0${piece.state_key}`, piece)
  const { isUnverified } = await takeState(app, source, { eventId, onState: set })
  const [event] = await loadEventsById(app.database, [eventId])
  if (!event && !isUnverified) throw nobodyHas(eventId)
  if (event?.pdu.state_key !== undefined && !event.rejected) set(receivedState(event.pdu, event.event_nid))
  const pieces = [...state.values()]
  return { nids: pieces.map(({ event_nid }) => event_nid), pieces }
}

function nobodyHas(eventId: EventId): FederationError {
  return new FederationError(`Nobody has the event ${eventId}`, { retryable: false })
}

/** Stores an event, unless it cannot be verified now, and the state before it. */
async function takeState(
  app: FetchingApp,
  source: Sources,
  { eventId, onState }: { eventId: EventId; onState: (piece: ReceivedState) => void },
): Promise<{ isUnverified: boolean }> {
  let isUnverified = false
  const [own, told] = await Promise.all([
    askEvents(app, source, [eventId], () => (isUnverified = true)),
    fromAny(source, (one) => askState(app, one, eventId)),
  ])
  try {
    await acceptReceived(app, source, told, onState)
  } finally {
    await told.spool.close()
  }
  await storeCitedEvents(app, source.version, own)
  return { isUnverified }
}
