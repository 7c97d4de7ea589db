import type { App } from '../../../app.ts'
import type { RoomEventFilter } from '../../../core/filters/filter-schema.ts'
import type { UserId } from '../../../core/ids.ts'
import { bytesOf } from '../../../core/json/within-bytes.ts'
import { findOrderBeyond, loadTimelinePage, type TimelinePage } from '../../../storage/rooms/timeline/timeline-pages.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { loadIgnoredUsers } from '../../../storage/users/ignored-users.ts'
import type { RoomAccess } from '../access/room-access.ts'
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
 * The next events of a room that a filter takes and the user may see and has not ignored. Usually one query: it asks
 * for one event more than the limit, to know whether there is one.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmessages
 */
export async function readVisiblePage(
  app: Pick<App, 'database' | 'reading'>,
  command: PageCommand,
): Promise<VisiblePage> {
  if (!wantsRoom(command.filter, command.access.roomId)) return { events: [], next: undefined }
  const ignored = await loadIgnoredUsers(app.database, command.userId)
  const takes = eventFilter(command.filter)
  const wanted = command.limit + 1
  const events: StoredEvent[] = []
  const conditions = { ...pageConditions(command.filter), ...(ignored.size > 0 && { ignored: [...ignored] }) }
  const isFiltered = Object.values(conditions).some((condition) => condition !== undefined)
  const edge = isFiltered ? await app.reading.inTurn(command.userId, () => findEdge(app, command)) : undefined
  let from = command.from
  let looked = 0
  for (;;) {
    const limit = Math.max(wanted - events.length, looked > 0 ? 100 : 0)
    const bytes = command.bytes - bytesOf(events)
    const wantedNext = { from, edge, limit, bytes, ...conditions }
    const load = () => loadNext(app, command, wantedNext)
    // Without conditions the index has what is wanted.
    const loaded = await (isFiltered ? app.reading.inTurn(command.userId, load) : load())
    looked += loaded.length
    const visible = await visibleEvents(app, command.userId, loaded.filter(takes))
    events.push(...visible)
    if (events.length >= wanted) return pageOf(command, events)
    if (loaded.length < limit && bytesOf(loaded) < bytes) return { events, next: edge }
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

/**
 * The point beyond which a request does not look, with `MAX_PASSED` events before it; undefined: the room ends before.
 */
async function findEdge(app: Pick<App, 'database'>, command: PageCommand): Promise<number | undefined> {
  const { access, direction, from } = command
  const order = await findOrderBeyond(app.database, {
    roomId: access.roomId,
    ...rangeOf(command, from),
    direction,
    passed: MAX_PASSED,
  })
  if (order === undefined) return undefined
  return direction === 'forwards' ? order - 1 : order
}

/** Exclusive bounds of what is left from a point on. */
function rangeOf(
  { access, direction, to }: PageCommand,
  from: number,
  edge?: number,
): { after: number; before: number } {
  const last = access.lastOrder + 1
  if (direction === 'forwards') return { after: from, before: Math.min((edge ?? to ?? access.lastOrder) + 1, last) }
  return { after: edge ?? to ?? -Number.MAX_SAFE_INTEGER, before: Math.min(from + 1, last) }
}

/** What a filter says is in the page's further fields. */
function loadNext(
  app: Pick<App, 'database'>,
  command: PageCommand,
  {
    from,
    edge,
    ...page
  }: { from: number; edge: number | undefined } & Omit<TimelinePage, 'roomId' | 'direction' | 'after' | 'before'>,
): Promise<StoredEvent[]> {
  const { access, direction } = command
  return loadTimelinePage(app.database, {
    ...page,
    roomId: access.roomId,
    direction,
    ...rangeOf(command, from, edge),
  })
}
