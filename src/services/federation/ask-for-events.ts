import { z } from 'zod'
import type { App } from '../../app.ts'
import type { Event } from '../../core/events/pdu.ts'
import { type EventId, isEventId, type RoomId, type ServerName } from '../../core/ids.ts'
import type { RoomVersion } from '../../core/room-versions.ts'
import { FederationError } from '../../infra/federation-error.ts'
import { verifyEvents } from './verify-events.ts'

export type AskingApp = Pick<App, 'federation' | 'keyRing' | 'logger'>

/** A room, and a server that is asked about it. */
export type EventSource = {
  server: ServerName
  roomId: RoomId
  version: RoomVersion
  /** Ends what takes too long. */
  signal: AbortSignal
}

/** Requests for single events that are made side by side. */
const AT_ONCE = 8
/** No answer needs more: state and auth chains come as ids where they are large. */
const MAX_EVENTS = 100_000

const eventList = z.array(z.unknown()).transform((list) => list.slice(0, MAX_EVENTS))
const idList = z.array(z.string()).transform((list) => list.slice(0, 2 * MAX_EVENTS).filter(isEventId))

/** Events that lead from some to others, oldest first, as far as the server tells. https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1get_missing_eventsroomid */
export async function askMissingEvents(
  app: AskingApp,
  source: EventSource,
  gap: { earliest: readonly EventId[]; latest: readonly EventId[]; limit: number; minDepth: number },
): Promise<Event[]> {
  const answer = await ask(app, source, {
    method: 'POST',
    path: `get_missing_events/${encodeURIComponent(source.roomId)}`,
    body: { earliest_events: gap.earliest, latest_events: gap.latest, limit: gap.limit, min_depth: gap.minDepth },
  })
  const { events } = parse(z.looseObject({ events: eventList.default([]) }), answer)
  return verified(app, source, events.slice(0, gap.limit))
}

/** The events that permit an event, with those that permit these. https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1event_authroomideventid */
export async function askEventAuth(app: AskingApp, source: EventSource, eventId: EventId): Promise<Event[]> {
  const path = `event_auth/${encodeURIComponent(source.roomId)}/${encodeURIComponent(eventId)}`
  const answer = await ask(app, source, { method: 'GET', path })
  return verified(app, source, parse(z.looseObject({ auth_chain: eventList }), answer).auth_chain)
}

/** The state before an event. https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1state_idsroomid */
export async function askStateIds(
  app: AskingApp,
  source: EventSource,
  eventId: EventId,
): Promise<{ state: EventId[]; authChain: EventId[] }> {
  const path = `state_ids/${encodeURIComponent(source.roomId)}`
  const answer = await ask(app, source, { method: 'GET', path, query: { event_id: eventId } })
  const ids = parse(z.looseObject({ pdu_ids: idList, auth_chain_ids: idList }), answer)
  return { state: ids.pdu_ids, authChain: ids.auth_chain_ids }
}

/** As `askStateIds`, the events themselves: state and auth chain together. https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1stateroomid */
export async function askState(app: AskingApp, source: EventSource, eventId: EventId): Promise<Event[]> {
  const path = `state/${encodeURIComponent(source.roomId)}`
  const answer = await ask(app, source, { method: 'GET', path, query: { event_id: eventId } })
  const { pdus, auth_chain } = parse(z.looseObject({ pdus: eventList, auth_chain: eventList }), answer)
  return verified(app, source, [...pdus, ...auth_chain])
}

/** Events that lead to some, newest first. https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1backfillroomid */
export async function askBackfill(
  app: AskingApp,
  source: EventSource,
  { from, limit }: { from: readonly EventId[]; limit: number },
): Promise<Event[]> {
  const path = `backfill/${encodeURIComponent(source.roomId)}`
  const answer = await ask(app, source, { method: 'GET', path, query: { v: from, limit } })
  return verified(app, source, parse(z.looseObject({ pdus: eventList }), answer).pdus.slice(0, 2 * limit))
}

/** Single events by id, from the first of some servers that has each. Those that none has are left out. https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1eventeventid */
export async function askEvents(
  app: AskingApp,
  source: EventSource & { others?: readonly ServerName[] },
  ids: readonly EventId[],
): Promise<Event[]> {
  const found: Event[] = []
  const waiting = [...ids]
  const work = async () => {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
      const event = await askEvent(app, source, id)
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
): Promise<Event | undefined> {
  for (const server of [source.server, ...(source.others ?? [])]) {
    try {
      const answer = await ask(app, { ...source, server }, { method: 'GET', path: `event/${encodeURIComponent(id)}` })
      const { pdus } = parse(z.looseObject({ pdus: z.array(z.unknown()).min(1) }), answer)
      const [event] = await verified(app, source, pdus.slice(0, 1))
      if (event?.event_id === id) return event
    } catch (error) {
      if (!(error instanceof FederationError)) throw error
    }
  }
  return undefined
}

function ask(
  app: AskingApp,
  source: EventSource,
  request: {
    method: 'GET' | 'POST'
    path: string
    query?: Record<string, string | number | readonly string[]>
    body?: unknown
  },
): Promise<unknown> {
  const path = `/_matrix/federation/v1/${request.path}`
  return app.federation.request({ destination: source.server, signal: source.signal, ...request, path })
}

function parse<Schema extends z.ZodType>(schema: Schema, answer: unknown): z.output<Schema> {
  const result = schema.safeParse(answer)
  if (result.success) return result.data
  throw new FederationError(`The answer is malformed: ${result.error.issues[0]?.message}`, { retryable: false })
}

/** Those of the events that are what their servers signed, and of this room. */
async function verified(app: AskingApp, { server, roomId, version }: EventSource, pdus: unknown[]): Promise<Event[]> {
  const events: Event[] = []
  for (const result of await verifyEvents(app, version, pdus)) {
    if (result.ok && result.event.room_id === roomId) events.push(result.event)
    else if (!result.ok) app.logger.debug({ server, room_id: roomId, reason: result.reason }, 'an event is dropped')
  }
  return events
}
