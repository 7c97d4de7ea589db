import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { bytesOf, lastWithin } from '../../../core/json/within-bytes.ts'
import { followsGap, gapPlaces } from '../../../core/rooms/timeline-gaps.ts'
import { findEventAtOrder, findNewestPlace, loadTimelinePage } from '../../../storage/rooms/timeline/timeline-pages.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { visibleEvents } from '../../rooms/reading/visible-events.ts'
import type { AnswerBudget } from '../answers/answer-budget.ts'
import type { SentMembers } from '../answers/sent-members.ts'
import type { SyncFilter } from '../answers/sync-filter.ts'

/** The viewer of a timeline, and its limits. */
export type TimelineViewer = {
  userId: UserId
  ignored: ReadonlySet<string>
  filter: SyncFilter
  budget: AnswerBudget
  /** For clients that load members lazily. */
  sentMembers?: SentMembers | undefined
}

/**
 * A range of a room's timeline; bounds on event_order are exclusive. `newest`: its newest events, oldest first, as far
 * as loaded.
 */
export type TimelineWindow = {
  roomId: RoomId
  after: number
  before: number
  newest: readonly StoredEvent[]
}

export type SyncTimeline = {
  /** The newest events of the window that the viewer gets, oldest first. */
  events: StoredEvent[]
  /** Whether there are older ones. */
  limited: boolean
}

/**
 * Maximum number of pages read per room: a viewer who may see hardly anything gets a limited timeline, instead of a
 * search of all history.
 */
const MAX_PAGES = 8

/** How far back the database looks for events that match a filter, in places of the timeline. */
const MOST_PLACES = 20_000

/**
 * Reads the newest events of a window that match the filter and that the viewer may see, up to the filter's limit and
 * the byte budget.
 */
export async function syncTimeline(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  viewer: TimelineViewer,
  window: TimelineWindow,
): Promise<SyncTimeline> {
  const { events, limited } = await wholeTimeline(app, viewer, window)
  const fitting = lastWithin(events, viewer.budget.timeline)
  return { events: fitting, limited: limited || fitting.length < events.length }
}

async function wholeTimeline(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  viewer: TimelineViewer,
  window: TimelineWindow,
): Promise<SyncTimeline> {
  if (!viewer.filter.takesTimelineOf(window.roomId)) return { events: [], limited: false }
  const limit = viewer.filter.timelineLimit
  const newest = (events: StoredEvent[]) => (limit === 0 ? [] : events.slice(-limit))
  const gap = window.newest.findLastIndex((event) => followsGap(event.event_order))
  let taken = await takenOf(app, viewer, gap < 0 ? window.newest : window.newest.slice(gap))
  const isFull = () => taken.length > limit || bytesOf(taken) > viewer.budget.timeline
  // Events before the gap are not adjacent to those after it: the client has to paginate.
  if (gap >= 0 || isFull()) return { events: newest(taken), limited: true }
  const first = window.newest[0]
  let before = first?.event_order ?? window.before
  // Nothing precedes the room's creation.
  if (before <= window.after + 1 || first?.pdu.type === 'm.room.create') return { events: taken, limited: false }
  const gapOrder = await findNewestPlace(app.database, window.roomId, gapPlaces(window.after, before))
  const after = Math.max(gapOrder === undefined ? window.after : gapOrder - 1, before - MOST_PLACES)
  for (let pages = 1; pages < MAX_PAGES; pages++) {
    const page = await pageBefore(app, viewer, { ...window, after, before })
    if (page.length === 0) {
      return { events: newest(taken), limited: gapOrder !== undefined || (await isMoreBetween(app, window, after)) }
    }
    taken = [...(await takenOf(app, viewer, page)), ...taken]
    before = page[0]!.event_order!
    if (isFull()) break
  }
  return { events: newest(taken), limited: true }
}

/** Returns whether there is any event of a window at or before an order. */
async function isMoreBetween(
  app: Pick<App, 'database'>,
  { roomId, after }: TimelineWindow,
  place: number,
): Promise<boolean> {
  if (place <= after) return false
  const event = await findEventAtOrder(app.database, roomId, place)
  return event !== undefined && event.event_order! > after
}

/** Reads the next page back, without the events that the filter drops, of which there may be any number. */
async function pageBefore(
  app: Pick<App, 'database'>,
  { filter, ignored, budget }: TimelineViewer,
  { roomId, after, before }: TimelineWindow,
): Promise<StoredEvent[]> {
  const events = await loadTimelinePage(app.database, {
    ...filter.timelineConditions,
    ...(ignored.size > 0 && { ignored: [...ignored] }),
    ...{ roomId, after, before, direction: 'backwards', limit: Math.max(20, 2 * filter.timelineLimit) },
    bytes: budget.timeline,
  })
  return events.reverse()
}

async function takenOf(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  viewer: TimelineViewer,
  page: readonly StoredEvent[],
): Promise<StoredEvent[]> {
  const wanted = page.filter((event) => viewer.filter.takesTimeline(event) && !isIgnored(event, viewer))
  const visible = new Set(await visibleEvents(app, viewer.userId, wanted))
  // The user's own leave, kick or ban is shown regardless of history visibility.
  return wanted.filter((event) => visible.has(event) || isOwnMembership(event, viewer.userId))
}

/**
 * Returns whether a viewer ignores an event: state is still needed to understand the room.
 * https://spec.matrix.org/v1.19/client-server-api/#ignoring-users
 */
export function isIgnored({ pdu }: StoredEvent, { ignored }: TimelineViewer): boolean {
  return pdu.state_key === undefined && ignored.has(pdu.sender)
}

function isOwnMembership({ pdu }: StoredEvent, userId: UserId): boolean {
  return pdu.type === 'm.room.member' && pdu.state_key === userId
}
