import { LRUCache } from 'lru-cache'
import type { App } from '../../../app.ts'
import { checkAuthEvents } from '../../../core/auth-rules/check-auth-events.ts'
import { type AuthState, checkEventAuth } from '../../../core/auth-rules/check-event-auth.ts'
import { redact } from '../../../core/events/redaction.ts'
import { toEvent } from '../../../core/events/to-event.ts'
import { createEventIdOf, type EventId, type RoomId } from '../../../core/ids.ts'
import type { Event, Pdu, StateKey } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { type JoinedRoomMember, joinedRoomMember } from '../../../storage/rooms/membership/joined-room-members.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { storeOutliers } from '../../../storage/rooms/timeline/outliers.ts'
import type { ReceivedEvents } from '../requests/received-events.ts'

/** A state event of a room, with the data that member lists need. */
export type ReceivedState = StateKey & { event_nid: number; member: JoinedRoomMember | undefined }

/** Number of events checked and stored together. */
const CHUNK = 500
/** Number of auth events cached: a few are referenced by most events, the others once or twice. */
const MAX_REFERENCED = 1000

/**
 * Checks received events against their auth events, in topological order, and stores them as outliers, rejected ones
 * too. Events that reference unknown ones are left out. Calls `onState` for each accepted state event.
 * https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu (4)
 */
export async function acceptReceived(
  app: Pick<App, 'database' | 'takeNids' | 'logger'>,
  room: { version: RoomVersion; roomId: RoomId },
  answer: ReceivedEvents,
  onState: (state: ReceivedState) => void,
): Promise<void> {
  const checker = createChecker(app, room, answer)
  let count = 0
  const store = async (events: readonly CheckedEvent[]) => {
    const stored = await app.database.write((tx) => storeOutliers(tx, app.takeNids, events))
    for (const { event_id, pdu } of events) {
      const { event_nid, rejected, redacted } = stored.get(event_id)!
      if (rejected || !answer.state.has(event_id)) continue
      onState(receivedStateOf(redacted ? redact(room.version, pdu) : pdu, event_nid))
    }
  }
  let storing = Promise.resolve()
  try {
    for await (const chunk of inOrderOfCitation(app, answer)) {
      count += chunk.length
      const events = await checker.check(chunk)
      await storing
      // While one chunk is stored, the next is checked.
      storing = store(events)
      storing.catch(() => {})
    }
  } finally {
    await storing
  }
  const left = answer.events.size - count
  if (left > 0) app.logger.warn({ room_id: room.roomId, left }, 'events of joined room reference unknown events')
}

/** Returns an event as an entry of the state. */
export function receivedStateOf(pdu: Pdu, event_nid: number): ReceivedState {
  return { type: pdu.type, state_key: pdu.state_key!, event_nid, member: joinedRoomMember(pdu, event_nid) }
}

/** Yields in chunks the IDs of all events whose auth events are known, in topological order. */
async function* inOrderOfCitation(app: Pick<App, 'database'>, answer: ReceivedEvents): AsyncGenerator<EventId[]> {
  const stored = await findStored(app, answer)
  const citing = new Map<EventId, EventId[]>()
  const open = new Map<EventId, number>()
  const ready: EventId[] = []
  for (const [eventId, { authIds }] of answer.events) {
    const missing = authIds.filter((id) => answer.events.has(id) || !stored.has(id))
    if (missing.length === 0) ready.push(eventId)
    else open.set(eventId, missing.length)
    for (const id of missing) {
      const others = citing.get(id)
      if (others) others.push(eventId)
      else citing.set(id, [eventId])
    }
  }
  let chunk: EventId[] = []
  // It grows during the iteration.
  for (const eventId of ready) {
    chunk.push(eventId)
    for (const id of citing.get(eventId) ?? []) {
      const left = open.get(id)! - 1
      open.set(id, left)
      if (left === 0) ready.push(id)
    }
    if (chunk.length < CHUNK) continue
    yield chunk
    chunk = []
  }
  if (chunk.length > 0) yield chunk
}

/**
 * Finds the auth events that the response lacks and this server already stores, from earlier participation in the room.
 */
async function findStored(app: Pick<App, 'database'>, { events }: ReceivedEvents): Promise<Set<EventId>> {
  const absent = new Set<EventId>()
  for (const { authIds } of events.values()) for (const id of authIds) if (!events.has(id)) absent.add(id)
  const ids = [...absent]
  const stored = new Set<EventId>()
  for (let start = 0; start < ids.length; start += CHUNK) {
    for (const event of await loadEventsById(app.database, ids.slice(start, start + CHUNK))) stored.add(event.event_id)
  }
  return stored
}

type CheckedEvent = Event & { json?: string; rejected_reason?: string }

function createChecker(
  app: Pick<App, 'database'>,
  { version, roomId }: { version: RoomVersion; roomId: RoomId },
  { events, spool }: ReceivedEvents,
) {
  const referenced = new LRUCache<EventId, CheckedEvent>({ max: MAX_REFERENCED })
  const rejected = new Map<EventId, string>()
  const createId = createEventIdOf(roomId)

  async function read(eventIds: readonly EventId[]): Promise<CheckedEvent[]> {
    const texts = await spool.read(eventIds.map((id) => events.get(id)!.text))
    return eventIds.map((id, place) => {
      const json = texts[place]!
      return { ...toEvent(version, JSON.parse(json) as Pdu, { event_id: id, rejected: rejected.has(id) }), json }
    })
  }

  /** Loads auth events outside the chunk, from memory, the spool or the database. */
  async function loadCited(chunk: readonly CheckedEvent[]): Promise<Map<EventId, CheckedEvent>> {
    const wanted = new Set(chunk.flatMap((event) => event.auth_event_ids))
    if (createId !== undefined) wanted.add(createId)
    for (const { event_id } of chunk) wanted.delete(event_id)
    const found = new Map<EventId, CheckedEvent>()
    const spooled: EventId[] = []
    const stored: EventId[] = []
    for (const id of wanted) {
      const known = referenced.get(id)
      if (known) found.set(id, known)
      else if (events.has(id)) spooled.push(id)
      else stored.push(id)
    }
    for (const event of await read(spooled)) found.set(event.event_id, event)
    for (const event of await loadEventsById(app.database, stored)) found.set(event.event_id, event)
    for (const [id, event] of found) referenced.set(id, event)
    return found
  }

  function judge(event: CheckedEvent, known: ReadonlyMap<EventId, CheckedEvent>): CheckedEvent {
    const authEvents = event.auth_event_ids.flatMap((id) => known.get(id) ?? [])
    const create = createId === undefined ? undefined : known.get(createId)
    const citing = checkAuthEvents(version, event, authEvents)
    const verdict = citing.allowed ? checkEventAuth(version, event, stateOf([...authEvents, create])) : citing
    if (verdict.allowed) return event
    const reason = `by its auth events: ${verdict.rule} ${verdict.reason}`
    rejected.set(event.event_id, reason)
    return { ...event, rejected: true, rejected_reason: reason }
  }

  return {
    async check(chunk: readonly EventId[]): Promise<CheckedEvent[]> {
      const events = await read(chunk)
      const known = await loadCited(events)
      return events.map((event) => {
        const judged = judge(event, known)
        known.set(event.event_id, judged)
        return judged
      })
    },
  }
}

function stateOf(events: readonly (Event | undefined)[]): AuthState {
  const byKey = new Map(
    events.flatMap((event) => (event ? [[`${event.pdu.type}\0${event.pdu.state_key}`, event]] : [])),
  )
  return { get: (type, stateKey) => byKey.get(`${type}\0${stateKey}`) }
}
