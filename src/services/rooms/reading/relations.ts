import type { App } from '../../../app.ts'
import type { ClientEvent } from '../../../core/events/client-event.ts'
import type { DeviceId } from '../../../core/ids.ts'
import { firstWithin } from '../../../core/json/within-bytes.ts'
import { paginationToken } from '../../../core/pagination-token.ts'
import { loadRelatedEvents } from '../../../storage/rooms/related-events.ts'
import { loadIgnoredUsers } from '../../../storage/users/ignored-users.ts'
import { type EventCommand, findVisibleEvent } from './read-event.ts'
import { orderOfToken } from './room-points.ts'
import { serveEvents } from './serve-events.ts'
import { visibleEvents } from './visible-events.ts'

export type RelationsCommand = EventCommand & {
  deviceId: DeviceId | null
  relType?: string | undefined
  eventType?: string | undefined
  direction: 'forwards' | 'backwards'
  from?: string | undefined
  to?: string | undefined
  limit?: number | undefined
  /** Undefined: the client did not set it. */
  recurse?: boolean | undefined
}

export type Relations = { chunk: ClientEvent[]; next_batch?: string; prev_batch?: string; recursion_depth?: number }

const DEFAULT_LIMIT = 50
const MAX_LIMIT = 500
const MAX_DEPTH = 3

/**
 * Returns the events that relate to an event and that the user may see. Throws M_NOT_FOUND if the user may not see the
 * event, and M_INVALID_PARAM for unknown tokens.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidrelationseventid
 */
export async function readRelations(
  app: Pick<App, 'config' | 'database' | 'clock' | 'reading'>,
  command: RelationsCommand,
): Promise<Relations> {
  const { roomId, direction, userId } = command
  const { event, access } = await findVisibleEvent(app, command)
  const from = command.from === undefined ? undefined : await orderOfToken(app, roomId, command.from)
  const to = command.to === undefined ? undefined : await orderOfToken(app, roomId, command.to)
  const limit = Math.min(command.limit ?? DEFAULT_LIMIT, MAX_LIMIT)
  const depth = command.recurse ? MAX_DEPTH : 1
  const after = (direction === 'forwards' ? from : to) ?? -Number.MAX_SAFE_INTEGER
  const until = (direction === 'forwards' ? to : from) ?? access.lastOrder
  const wanted = {
    roomId,
    eventId: event.event_id,
    relType: command.relType,
    eventType: command.eventType,
    depth,
    after,
    before: Math.min(until, access.lastOrder) + 1,
    direction,
    limit: limit + 1,
    ignored: await loadIgnoredUsers(app.database, userId),
  }
  const related = await app.reading.inTurn(userId, () => loadRelatedEvents(app.database, wanted))
  const page = firstWithin(related.slice(0, limit), app.config.limits.answers.page)
  const last = page.at(-1)?.event_order
  return {
    chunk: await serveEvents(app, { ...command, events: await visibleEvents(app, userId, page), bundle: true }),
    ...(related.length > page.length &&
      last && { next_batch: paginationToken(direction === 'forwards' ? last : last - 1) }),
    ...(command.from !== undefined && { prev_batch: command.from }),
    ...(command.recurse !== undefined && { recursion_depth: depth }),
  }
}
