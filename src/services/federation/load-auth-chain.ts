import type { App } from '../../app.ts'
import type { EventId } from '../../core/ids.ts'
import { loadWithAuthChains } from '../../storage/auth-chains.ts'
import type { StoredEvent } from '../../storage/stored-event.ts'

/** All that an event's `auth_events` lead to. */
export async function loadAuthChain(app: Pick<App, 'database'>, of: StoredEvent): Promise<StoredEvent[]> {
  const chain = new Map<EventId, StoredEvent>()
  await loadWithAuthChains(app.database, of.auth_event_ids, chain)
  return [...chain.values()]
}
