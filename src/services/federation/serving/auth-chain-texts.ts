import type { App } from '../../../app.ts'
import { createEventIdOf, type EventId, type RoomId } from '../../../core/ids.ts'
import type { Pdu } from '../../../core/pdu.ts'
import { type EventText, loadChainTexts, loadEventTexts } from '../../../storage/rooms/timeline/event-texts.ts'

type Reading = Pick<App, 'database'>

/** Number of events read and written together. */
const CHUNK = 500
const FEW = 50
/** Characters of a chain that are kept until its order is known; the rest is read again. */
const MOST_KEPT = 4 * 1024 * 1024

/** Yields events by nid, in chunks. */
export async function* textsOf(app: Reading, nids: readonly number[]): AsyncGenerator<EventText[]> {
  for (let start = 0; start < nids.length; start += CHUNK) {
    yield await loadEventTexts(app.database, nids.slice(start, start + CHUNK))
  }
}

/** Returns the IDs of an event's auth events. */
export function authIdsOf({ json }: EventText): EventId[] {
  return authEventIdsOf(JSON.parse(json))
}

function authEventIdsOf({ auth_events }: Pdu): EventId[] {
  return auth_events.map((reference) => (typeof reference === 'string' ? reference : reference[0]))
}

/** The starting events of chains, and events to leave out. `most`: the maximum number of characters kept in memory. */
type Chain = { starts: ReadonlySet<EventId>; known?: ReadonlySet<EventId>; most?: number }

/** An event of a chain, with the data that orders it. */
type Link = { event_nid: number; depth: number; text?: EventText }

/**
 * Yields the auth chain of some events of a room: those in `starts` and everything their `auth_events` lead to, except
 * those in `known`. Includes the create event, also if no event references it. Oldest first: each event follows its
 * auth events.
 */
export async function* chainTexts(
  app: Reading,
  roomId: RoomId,
  { starts, known = new Set(), most = MOST_KEPT }: Chain,
): AsyncGenerator<EventText[]> {
  const links: Link[] = []
  let length = 0
  for await (const { text, depth } of walkChain(app, withCreate(roomId, starts, known), known)) {
    const { event_nid, json } = text
    length += json.length
    links.push({ event_nid, depth, ...(length <= most && { text }) })
  }
  links.sort(byAge)
  for (let start = 0; start < links.length; start += CHUNK) {
    const chunk = links.slice(start, start + CHUNK)
    const dropped = chunk.flatMap(({ event_nid, text }) => (text ? [] : event_nid))
    const texts = dropped.length > 0 ? await loadEventTexts(app.database, dropped) : []
    const byNid = new Map(texts.map((text) => [text.event_nid, text]))
    yield chunk.flatMap(({ event_nid, text }) => text ?? byNid.get(event_nid) ?? [])
  }
}

function withCreate(roomId: RoomId, starts: ReadonlySet<EventId>, known: ReadonlySet<EventId>): EventId[] {
  const createId = createEventIdOf(roomId)
  const ids = createId === undefined ? starts : new Set([...starts, createId])
  return [...ids].filter((id) => !known.has(id))
}

/** Orders by depth, then by arrival: an event is deeper than its auth events. */
function byAge(a: { depth: number; event_nid: number }, b: { depth: number; event_nid: number }): number {
  return a.depth - b.depth || a.event_nid - b.event_nid
}

async function* walkChain(
  app: Reading,
  first: readonly EventId[],
  known: ReadonlySet<EventId>,
): AsyncGenerator<{ text: EventText; depth: number }> {
  const found = new Set<EventId>([...known, ...first])
  const sent = new Set<EventId>(known)
  let pending = [...first]
  while (pending.length > 0) {
    const chunk = pending.slice(0, CHUNK)
    // A few remaining events may form a long line of references, each of which would need a query of its own.
    const limit = chunk.length > FEW ? chunk.length : CHUNK
    const texts = (await loadChainTexts(app.database, chunk, limit)).filter(({ event_id }) => !sent.has(event_id))
    for (const { event_id } of texts) {
      sent.add(event_id)
      found.add(event_id)
    }
    pending = pending.slice(CHUNK).filter((id) => !sent.has(id))
    for (const text of texts) {
      const pdu = JSON.parse(text.json) as Pdu
      for (const id of authEventIdsOf(pdu)) {
        if (found.has(id)) continue
        found.add(id)
        pending.push(id)
      }
      yield { text, depth: pdu.depth }
    }
  }
}
