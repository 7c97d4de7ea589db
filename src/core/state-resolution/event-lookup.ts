import type { EventId } from '../ids.ts'
import type { Event } from '../pdu.ts'

/** Finds events and notes those that are needed but not at hand. */
export type EventLookup = {
  /** The event, or `undefined` if it is now in `missing`. */
  find(id: EventId): Event | undefined
  /** The event if it is at hand; does not note it if not. */
  peek(id: EventId): Event | undefined
  readonly missing: ReadonlySet<EventId>
}

/** A lookup over the events that the caller has. */
export function eventLookup(get: (id: EventId) => Event | undefined): EventLookup {
  const missing = new Set<EventId>()
  return {
    missing,
    peek: get,
    find(id) {
      const event = get(id)
      if (event === undefined) missing.add(id)
      return event
    },
  }
}

/** The events among `ids` that are at hand; the others are noted as missing. */
export function findAll(ids: Iterable<EventId>, lookup: EventLookup): Event[] {
  const events: Event[] = []
  for (const id of ids) {
    const event = lookup.find(id)
    if (event !== undefined) events.push(event)
  }
  return events
}
