import type { EventId } from '../ids.ts'
import type { Event } from '../pdu.ts'

/** Finds events and records the missing ones. */
export type EventLookup = {
  /** Returns the event, or `undefined` and adds the id to `missing`. */
  find(id: EventId): Event | undefined
  /** Returns the event if it is loaded; does not record it otherwise. */
  peek(id: EventId): Event | undefined
  readonly missing: ReadonlySet<EventId>
}

/** A look-up over the loaded events. */
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

/** Returns the loaded events of `ids`; records the others as missing. */
export function findAll(ids: Iterable<EventId>, lookup: EventLookup): Event[] {
  const events: Event[] = []
  for (const id of ids) {
    const event = lookup.find(id)
    if (event !== undefined) events.push(event)
  }
  return events
}
