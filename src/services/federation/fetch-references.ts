import type { App } from '../../app.ts'
import type { EventId, ServerName } from '../../core/ids.ts'
import { FederationError } from '../../infra/federation-error.ts'
import { type EventNid, findEventNids } from '../../storage/event-nids.ts'
import { acceptReceived } from './accept-received.ts'
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

/**
 * The nids of the state after an event that this server does not have in the timeline, as another server tells it. What is missing of it is
 * fetched and stored. Throws FederationError when no server tells, or nobody has the event itself.
 */
export async function fetchStateAfter(app: FetchingApp, source: Sources, eventId: EventId): Promise<number[]> {
  const { state, authChain } = await fromAny(source, (one) => askStateIds(app, one, eventId))
  const wanted = [...new Set([...state, ...authChain, eventId])]
  let found = await findEventNids(app.database, wanted)
  const missing = wanted.filter((id) => !found.has(id))
  if (missing.length > 0) {
    await fetchState(app, source, { eventId, missing })
    found = await findEventNids(app.database, wanted)
  }
  const event = found.get(eventId)
  if (!event) throw new FederationError(`Nobody has the event ${eventId}`, { retryable: false })
  const accepted = (each: EventNid | undefined) => (each?.is_state && !each.rejected ? [each.event_nid] : [])
  // Last, for it takes the place of what was there before it.
  return [...state.flatMap((id) => accepted(found.get(id))), ...accepted(event)]
}

async function fetchState(
  app: FetchingApp,
  source: Sources,
  { eventId, missing }: { eventId: EventId; missing: readonly EventId[] },
): Promise<void> {
  if (missing.length <= MAX_SINGLE) {
    await storeCitedEvents(app, source.version, await askEvents(app, source, missing))
    return
  }
  const [own, told] = await Promise.all([
    askEvents(app, source, [eventId]),
    fromAny(source, (one) => askState(app, one, eventId)),
  ])
  try {
    await acceptReceived(app, source, told, () => {})
  } finally {
    await told.spool.close()
  }
  await storeCitedEvents(app, source.version, own)
}
