import type { App } from '../../app.ts'
import type { RoomEventFilter } from '../../core/filters/filter-schema.ts'
import type { UserId } from '../../core/ids.ts'
import { bytesOf } from '../../core/within-bytes.ts'
import { loadIgnoredUsers } from '../../storage/ignored-users.ts'
import type { StoredEvent } from '../../storage/stored-event.ts'
import { loadTimelinePage, type TimelinePage } from '../../storage/timeline-pages.ts'
import type { RoomAccess } from './room-access.ts'
import { eventFilter, pageConditions, wantsRoom } from './timeline-filter.ts'
import { visibleEvents } from './visible-events.ts'

export type PageCommand = {
  access: RoomAccess
  userId: UserId
  direction: 'forwards' | 'backwards'
  /** Where to start and where to stop: points right after the events with these orders. */
  from: number
  to?: number | undefined
  limit: number
  /** So many bytes of events are enough, before the limit is reached. */
  bytes: number
  filter: RoomEventFilter
}

export type VisiblePage = {
  /** In the page's direction. */
  events: StoredEvent[]
  /** Where the next page starts; undefined when there is nothing more for the user to see. */
  next: number | undefined
}

/** One request looks through at most this many events that the user may not see; then the client has to ask again. */
const MAX_HIDDEN = 1000
/** And for those that its filter takes it looks among at most this many, for a filter may take none of millions. */
const MAX_PASSED = 20_000

/**
 * The next events of a room that a filter takes and the user may see and has not ignored. Usually one query: it asks for one event more
 * than the limit, to know whether there is one. https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmessages
 */
export async function readVisiblePage(app: Pick<App, 'database'>, command: PageCommand): Promise<VisiblePage> {
  if (!wantsRoom(command.filter, command.access.roomId)) return { events: [], next: undefined }
  const ignored = await loadIgnoredUsers(app.database, command.userId)
  const takes = eventFilter(command.filter)
  const wanted = command.limit + 1
  const events: StoredEvent[] = []
  const conditions = { ...pageConditions(command.filter), ...(ignored.size > 0 && { ignored: [...ignored] }) }
  let from = await startOf(app, command)
  const edge = from + (command.direction === 'forwards' ? MAX_PASSED : -MAX_PASSED)
  let looked = 0
  for (;;) {
    const limit = Math.max(wanted - events.length, looked > 0 ? 100 : 0)
    const bytes = command.bytes - bytesOf(events)
    const loaded = await loadNext(app, command, { from, edge, limit, bytes, ...conditions })
    looked += loaded.length
    const visible = await visibleEvents(app, command.userId, loaded.filter(takes))
    events.push(...visible)
    if (events.length >= wanted) return pageOf(command, events)
    if (loaded.length < limit && bytesOf(loaded) < bytes) {
      const goesOn = (await loadNext(app, command, { from: edge, limit: 1 })).length > 0
      return { events, next: goesOn ? edge : undefined }
    }
    from = beyond(command, loaded.at(-1)!)
    const isFull = bytesOf(events) >= command.bytes
    if (isFull || looked >= command.limit + MAX_HIDDEN) return { events, next: from }
  }
}

function pageOf(command: PageCommand, events: StoredEvent[]): VisiblePage {
  const kept = events.slice(0, command.limit)
  const last = kept.at(-1)
  return { events: kept, next: last ? beyond(command, last) : command.from }
}

/** The point on the far side of an event. */
function beyond({ direction }: PageCommand, event: StoredEvent): number {
  return direction === 'forwards' ? event.event_order! : event.event_order! - 1
}

/** Where to begin: at the room's first event instead of long before it, and at its last one instead of after it. */
async function startOf(app: Pick<App, 'database'>, command: PageCommand): Promise<number> {
  const { access, direction, from } = command
  if (direction === 'backwards') return Math.min(from, access.lastOrder)
  if (from > -Number.MAX_SAFE_INTEGER) return from
  const [first] = await loadNext(app, command, { from, limit: 1 })
  return first ? first.event_order! - 1 : access.lastOrder
}

/** What a filter says is in the page's further fields. `edge`: a point beyond which not to look. */
function loadNext(
  app: Pick<App, 'database'>,
  { access, direction, to }: PageCommand,
  {
    from,
    edge,
    ...page
  }: { from: number; edge?: number } & Omit<TimelinePage, 'roomId' | 'direction' | 'after' | 'before'>,
): Promise<StoredEvent[]> {
  const lowest = Math.max(to ?? -Number.MAX_SAFE_INTEGER, edge ?? -Number.MAX_SAFE_INTEGER)
  const highest = Math.min(to ?? access.lastOrder, edge ?? access.lastOrder)
  const after = direction === 'forwards' ? from : lowest
  const before = direction === 'forwards' ? highest + 1 : from + 1
  return loadTimelinePage(app.database, {
    ...page,
    roomId: access.roomId,
    direction,
    after,
    before: Math.min(before, access.lastOrder + 1),
  })
}
