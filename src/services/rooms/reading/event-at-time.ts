import type { App } from '../../../app.ts'
import { NotFoundError } from '../../../core/errors.ts'
import type { EventId, RoomId } from '../../../core/ids.ts'
import { loadEventsNearTime } from '../../../storage/rooms/timeline/timeline-pages.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { accessAs, type RoomReading } from '../access/administrator-access.ts'
import { visibleThrough } from './visible-events.ts'

const BATCH = 20
/** Maximum number of invisible events that are skipped. */
const MAX_SKIPPED = 1000

/**
 * Finds the event nearest to a time (milliseconds since 1970) that the user may see. Throws M_FORBIDDEN, and
 * M_NOT_FOUND if there is none.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidtimestamp_to_event
 */
export async function findEventAtTime(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  command: RoomReading & { ts: number; direction: 'forwards' | 'backwards' },
): Promise<{ event_id: EventId; origin_server_ts: number }> {
  const access = await accessAs(app, command)
  const { lastOrder } = access
  for (let skip = 0; skip < MAX_SKIPPED; skip += BATCH) {
    const events = await loadEventsNearTime(app.database, { ...command, lastOrder, skip, limit: BATCH })
    const [nearest] = await visibleThrough(app, { ...command, access }, events)
    if (nearest) return { event_id: nearest.event_id, origin_server_ts: nearest.pdu.origin_server_ts }
    if (events.length < BATCH) break
  }
  throw new NotFoundError(`There is no event in direction ${command.direction} from this time`)
}

/** Finds the event of a room nearest to a time, regardless of visibility. */
export async function findEventNear(
  app: Pick<App, 'database'>,
  search: { roomId: RoomId; ts: number; direction: 'forwards' | 'backwards' },
): Promise<StoredEvent | undefined> {
  const [event] = await loadEventsNearTime(app.database, {
    ...search,
    lastOrder: Number.MAX_SAFE_INTEGER,
    skip: 0,
    limit: 1,
  })
  return event
}
