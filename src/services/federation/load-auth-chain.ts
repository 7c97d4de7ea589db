import type { App } from '../../app.ts'
import type { EventId } from '../../core/ids.ts'
import { loadEventsById } from '../../storage/events.ts'
import type { StoredEvent } from '../../storage/stored-event.ts'

/** All that some events' `auth_events` lead to; the events themselves are among it only if others lead to them. */
export async function loadAuthChain(app: Pick<App, 'database'>, of: readonly StoredEvent[]): Promise<StoredEvent[]> {
  const chain = new Map<EventId, StoredEvent>()
  let wanted = citedBy(of, chain)
  while (wanted.length > 0) {
    const events = await loadEventsById(app.database, wanted)
    for (const event of events) chain.set(event.event_id, event)
    wanted = citedBy(events, chain)
  }
  return [...chain.values()]
}

function citedBy(events: readonly StoredEvent[], known: ReadonlyMap<EventId, StoredEvent>): EventId[] {
  return [...new Set(events.flatMap((event) => event.auth_event_ids))].filter((id) => !known.has(id))
}
