import type { App } from '../../../app.ts'
import { lifetimeOf } from '../../../core/rooms/retention.ts'
import { loadRetentions } from '../../../storage/rooms/retention.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'

/**
 * Returns the messages whose lifetime in their room has ended, which are hidden until they are deleted. Younger ones
 * than the least lifetime cost no query.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/1763
 */
export async function expiredAmong(
  { database, clock, config: { retention } }: Pick<App, 'database' | 'clock' | 'config'>,
  events: readonly StoredEvent[],
): Promise<ReadonlySet<StoredEvent>> {
  if (!retention.enabled) return NONE
  const now = clock.now()
  const old = events.filter(
    ({ pdu }) => pdu.state_key === undefined && now - pdu.origin_server_ts > retention.min_lifetime,
  )
  if (old.length === 0) return NONE
  const said = await loadRetentions(database, [...new Set(old.map(({ room_id }) => room_id))])
  return new Set(
    old.filter(({ room_id, pdu }) => {
      const lifetime = lifetimeOf(said.get(room_id) ?? SILENT, retention)
      return lifetime !== undefined && now - pdu.origin_server_ts > lifetime
    }),
  )
}

const NONE: ReadonlySet<StoredEvent> = new Set()
const SILENT = { max_lifetime: null, min_lifetime: null }
