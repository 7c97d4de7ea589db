import type { App } from '../../../app.ts'
import type { RoomEventFilter } from '../../../core/filters/filter-schema.ts'
import type { UserId } from '../../../core/ids.ts'
import { bytesOf } from '../../../core/json/within-bytes.ts'
import { findOrderBeyond, loadTimelinePage, type TimelinePage } from '../../../storage/rooms/timeline/timeline-pages.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { loadIgnoredUsers } from '../../../storage/users/ignored-users.ts'
import type { RoomAccess } from '../access/room-access.ts'
import { eventFilter, pageConditions, wantsRoom } from './timeline-filter.ts'
import { visibleThrough } from './visible-events.ts'

export type PageCommand = {
  access: RoomAccess
  userId: UserId
  direction: 'forwards' | 'backwards'
  /** Start and end: points right after the events with these orders. */
  from: number
  to?: number | undefined
  limit: number
  /** Byte budget: the page ends early when its events exceed it. */
  bytes: number
  filter: RoomEventFilter
}

export type VisiblePage = {
  /** In the direction of the page. */
  events: StoredEvent[]
  /** The start of the next page; undefined if there is nothing more for the user to see. */
  next: number | undefined
}

/** Maximum number of invisible events per request; then the client has to continue. */
const MAX_HIDDEN = 1000
/** Maximum number of events per request that are matched against the filter, which may match none of millions. */
const MAX_PASSED = 20_000

/**
 * Reads the next events of a room that match a filter and that the user may see and has not ignored. Usually one query,
 * for one event more than the limit, which shows whether there is another page.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmessages
 */
export async function readVisiblePage(
  app: Pick<App, 'config' | 'database' | 'clock' | 'reading'>,
  command: PageCommand,
): Promise<VisiblePage> {
  if (!wantsRoom(command.filter, command.access.roomId)) return { events: [], next: undefined }
  const ignored = await ignoredBy(app, command)
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
    // Without conditions the index suffices.
    const loaded = await (isFiltered ? app.reading.inTurn(command.userId, load) : load())
    looked += loaded.length
    const visible = await visibleThrough(app, command, loaded.filter(takes))
    events.push(...visible)
    if (events.length >= wanted) return pageOf(command, events)
    if (loaded.length < limit && bytesOf(loaded) < bytes) return { events, next: edge }
    from = beyond(command, loaded.at(-1)!)
    const isFull = bytesOf(events) >= command.bytes
    if (isFull || looked >= command.limit + MAX_HIDDEN) return { events, next: from }
  }
}

/** Administrators read what users whom they ignore have sent, too. */
async function ignoredBy(app: Pick<App, 'database'>, { access, userId }: PageCommand): Promise<ReadonlySet<string>> {
  return access.as === 'administrator' ? new Set() : loadIgnoredUsers(app.database, userId)
}

function pageOf(command: PageCommand, events: StoredEvent[]): VisiblePage {
  const kept = events.slice(0, command.limit)
  const last = kept.at(-1)
  return { events: kept, next: last ? beyond(command, last) : command.from }
}

/** Returns the point on the far side of an event. */
function beyond({ direction }: PageCommand, event: StoredEvent): number {
  return direction === 'forwards' ? event.event_order! : event.event_order! - 1
}

/** Returns the point where a request stops, `MAX_PASSED` events on; undefined if the room ends before. */
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

/** Returns the exclusive bounds of the remaining events from a point on. */
function rangeOf(
  { access, direction, to }: PageCommand,
  from: number,
  edge?: number,
): { after: number; before: number } {
  const last = access.lastOrder + 1
  if (direction === 'forwards') return { after: from, before: Math.min((edge ?? to ?? access.lastOrder) + 1, last) }
  return { after: edge ?? to ?? -Number.MAX_SAFE_INTEGER, before: Math.min(from + 1, last) }
}

/** The filter's conditions are in the page's further fields. */
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
