import type { App } from '../../app.ts'
import type { RoomId, UserId } from '../../core/ids.ts'
import { followsGap } from '../../core/timeline-gaps.ts'
import type { StoredEvent } from '../../storage/stored-event.ts'
import { loadTimelinePage } from '../../storage/timeline-pages.ts'
import { visibleEvents } from '../rooms/visible-events.ts'
import type { SyncFilter } from './sync-filter.ts'

/** Whose view of a timeline it is. */
export type Viewer = { userId: UserId; ignored: ReadonlySet<string>; filter: SyncFilter }

/** A stretch of a room's timeline; bounds on event_order are exclusive. `newest`: its newest events, oldest first, where they are at hand. */
export type TimelineWindow = {
  roomId: RoomId
  after: number
  before: number
  newest: readonly StoredEvent[]
}

export type SyncTimeline = {
  /** The newest events of the window that the viewer gets, oldest first. */
  events: StoredEvent[]
  /** Whether there are more of them, older. */
  limited: boolean
}

/** Pages read for one room at most: who filters out nearly everything gets a limited timeline rather than a search of all history. */
const MAX_PAGES = 8

/** The newest events of a window that pass the filter and that the viewer may see, up to the filter's limit. */
export async function syncTimeline(
  app: Pick<App, 'database'>,
  viewer: Viewer,
  window: TimelineWindow,
): Promise<SyncTimeline> {
  if (!viewer.filter.takesTimelineOf(window.roomId)) return { events: [], limited: false }
  const limit = viewer.filter.timelineLimit
  let before = window.before
  let page = window.newest
  let taken: StoredEvent[] = []
  for (let pages = 0; pages < MAX_PAGES; pages++) {
    const gap = page.findLastIndex((event) => followsGap(event.event_order))
    if (gap >= 0) {
      // What came before the gap is not what came before the events after it: the client has to ask for that.
      const since = [...(await takenOf(app, viewer, page.slice(gap))), ...taken]
      return { events: limit === 0 ? [] : since.slice(-limit), limited: true }
    }
    if (page.length > 0) {
      taken = [...(await takenOf(app, viewer, page)), ...taken]
      before = page[0]!.event_order!
    }
    if (taken.length > limit) return { events: limit === 0 ? [] : taken.slice(-limit), limited: true }
    // Before the room's creation there is nothing.
    if (before <= window.after + 1 || page[0]?.pdu.type === 'm.room.create') return { events: taken, limited: false }
    page = await pageBefore(app, window, before, Math.max(20, 2 * limit))
    if (page.length === 0) return { events: taken, limited: false }
  }
  return { events: taken.slice(-limit), limited: true }
}

async function pageBefore(
  app: Pick<App, 'database'>,
  window: TimelineWindow,
  before: number,
  limit: number,
): Promise<StoredEvent[]> {
  const { roomId, after } = window
  const events = await loadTimelinePage(app.database, { roomId, after, before, direction: 'backwards', limit })
  return events.reverse()
}

async function takenOf(
  app: Pick<App, 'database'>,
  viewer: Viewer,
  page: readonly StoredEvent[],
): Promise<StoredEvent[]> {
  const wanted = page.filter((event) => viewer.filter.takesTimeline(event) && !isIgnored(event, viewer))
  const visible = new Set(await visibleEvents(app, viewer.userId, wanted))
  // Who is sent away, or says no to an invite, learns of it whatever the history visibility.
  return wanted.filter((event) => visible.has(event) || isOwnMembership(event, viewer.userId))
}

/** https://spec.matrix.org/v1.19/client-server-api/#ignoring-users: state is still needed to understand the room. */
function isIgnored({ pdu }: StoredEvent, { ignored }: Viewer): boolean {
  return pdu.state_key === undefined && ignored.has(pdu.sender)
}

function isOwnMembership({ pdu }: StoredEvent, userId: UserId): boolean {
  return pdu.type === 'm.room.member' && pdu.state_key === userId
}
