import { z } from 'zod'
import type { App } from '../../../app.ts'
import { type EventId, isEventId, type ServerName } from '../../../core/ids.ts'
import type { Event } from '../../../core/pdu.ts'
import { FederationError } from '../../../infra/federation/federation-error.ts'
import { verifyEvents } from '../trust/verify-events.ts'
import { askForItems, type EventSource } from './ask-for-items.ts'

export type { EventSource } from './ask-for-items.ts'
export type AskingApp = Pick<App, 'federation' | 'keyRing' | 'logger'>

/** Concurrent requests for single events. */
const AT_ONCE = 8
/** No response needs more: large states and auth chains come as IDs. */
export const MAX_EVENTS = 100_000
const MAX_AUTH_CHAIN = 10_000

/**
 * Fetches the events between some events and others, oldest first, as far as the server returns them; `onInvalid` is
 * called for invalid ones.
 * https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1get_missing_eventsroomid
 */
export async function askMissingEvents(
  app: AskingApp,
  source: EventSource,
  gap: { earliest: readonly EventId[]; latest: readonly EventId[]; limit: number; minDepth: number },
  onInvalid?: () => void,
): Promise<Event[]> {
  const { earliest, latest, limit, minDepth } = gap
  const path = `get_missing_events/${encodeURIComponent(source.roomId)}`
  const body = { earliest_events: earliest, latest_events: latest, limit, min_depth: minDepth }
  const request = { method: 'POST', path, body, lists: ['events'], maxItems: 2 * limit } as const
  return askForVerified(app, source, request, onInvalid)
}

/**
 * Fetches the auth chain of an event.
 * https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1event_authroomideventid
 */
export async function askEventAuth(app: AskingApp, source: EventSource, eventId: EventId): Promise<Event[]> {
  const path = `event_auth/${encodeURIComponent(source.roomId)}/${encodeURIComponent(eventId)}`
  return askForVerified(app, source, { method: 'GET', path, lists: ['auth_chain'], maxItems: MAX_AUTH_CHAIN })
}

/** An event of the state before an event, or of its auth chain. */
export type StateId = { id: EventId; isState: boolean }

/**
 * Yields the IDs of the state before an event and of its auth chain, as they arrive. The consumer may stop early.
 * https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1state_idsroomid
 */
export async function* askStateIds(app: AskingApp, source: EventSource, eventId: EventId): AsyncGenerator<StateId[]> {
  const path = `state_ids/${encodeURIComponent(source.roomId)}`
  const lists = ['pdu_ids', 'auth_chain_ids']
  const request = { method: 'GET', path, query: { event_id: eventId }, lists, maxItems: 2 * MAX_EVENTS } as const
  for await (const items of askForItems(app, source, request)) {
    yield items.flatMap(({ key, value }) =>
      typeof value === 'string' && isEventId(value) ? { id: value, isState: key === 'pdu_ids' } : [],
    )
  }
}

/**
 * Fetches the predecessors of some events, newest first.
 * https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1backfillroomid
 */
export async function askBackfill(
  app: AskingApp,
  source: EventSource,
  { from, limit }: { from: readonly EventId[]; limit: number },
): Promise<Event[]> {
  const path = `backfill/${encodeURIComponent(source.roomId)}`
  const request = { method: 'GET', path, query: { v: from, limit }, lists: ['pdus'], maxItems: 2 * limit } as const
  return askForVerified(app, source, request)
}

const singleEvent = z.looseObject({ pdus: z.array(z.unknown()) })

/** The reason why a received event is left out: its keys are unavailable now, or its signatures are wrong. */
export type LeftOut = 'unverified' | 'invalid'
type NoteLeftOut = (id: EventId, why: LeftOut) => void

/**
 * Fetches single events by ID, each from the first of some servers that has it. Events that no server returns are left
 * out, and so are unacceptable ones, for which `onLeftOut` is called.
 * https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1eventeventid
 */
export async function askEvents(
  app: AskingApp,
  source: EventSource & { others?: readonly ServerName[] },
  ids: readonly EventId[],
  onLeftOut: NoteLeftOut = () => {},
): Promise<Event[]> {
  const found: Event[] = []
  const waiting = [...ids]
  const work = async () => {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
      const event = await askEvent(app, source, id, onLeftOut)
      if (event) found.push(event)
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, ids.length) }, work))
  return found
}

async function askEvent(
  app: AskingApp,
  source: EventSource & { others?: readonly ServerName[] },
  id: EventId,
  onLeftOut: NoteLeftOut,
): Promise<Event | undefined> {
  for (const server of [source.server, ...(source.others ?? [])]) {
    try {
      const path = `/_matrix/federation/v1/event/${encodeURIComponent(id)}`
      const { signal } = source
      const answer = await app.federation.request({ destination: server, method: 'GET', path, signal })
      const pdus = singleEvent.safeParse(answer).data?.pdus.slice(0, 1) ?? []
      const unverified: EventId[] = []
      const onUnverified = ({ event_id }: Event) => void unverified.push(event_id)
      const [event] = await verified(app, source, pdus, { onUnverified })
      if (event?.event_id === id) return event
      if (pdus.length > 0) onLeftOut(id, unverified.includes(id) ? 'unverified' : 'invalid')
    } catch (error) {
      if (!(error instanceof FederationError)) throw error
    }
  }
  return undefined
}

/** Requests events, and returns the valid ones of this room. */
async function askForVerified(
  app: AskingApp,
  source: EventSource,
  request: Parameters<typeof askForItems>[2],
  onInvalid?: () => void,
): Promise<Event[]> {
  const events: Event[] = []
  for await (const items of askForItems(app, source, request)) {
    const values = items.map(({ value }) => value)
    events.push(...(await verified(app, source, values, { onInvalid })))
  }
  return events
}

/** Returns the valid events of this room. */
async function verified(
  app: AskingApp,
  { server, roomId, version }: EventSource,
  pdus: unknown[],
  { onUnverified, onInvalid }: { onUnverified?: (event: Event) => void; onInvalid?: (() => void) | undefined } = {},
): Promise<Event[]> {
  const events: Event[] = []
  for (const result of await verifyEvents(app, version, pdus)) {
    if (result.ok && result.event.room_id === roomId) events.push(result.event)
    else if (!result.ok && result.unverified?.room_id === roomId) onUnverified?.(result.unverified)
    else onInvalid?.()
    if (!result.ok) app.logger.debug({ server, room_id: roomId, reason: result.reason }, 'invalid event dropped')
  }
  return events
}
