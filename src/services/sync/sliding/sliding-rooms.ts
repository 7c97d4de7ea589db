import type { App } from '../../../app.ts'
import type { ClientEvent } from '../../../core/events/client-event.ts'
import type { RoomId } from '../../../core/ids.ts'
import { bytesOf } from '../../../core/json/within-bytes.ts'
import { paginationToken } from '../../../core/pagination-token.ts'
import type { JsonObject, StateKey } from '../../../core/pdu.ts'
import type { Membership } from '../../../core/rooms/membership.ts'
import { loadMemberProfiles, type MemberProfile } from '../../../storage/rooms/membership/member-profiles.ts'
import { loadRoomSummaries, type SyncSummary } from '../../../storage/rooms/room-heroes.ts'
import { loadNewestEvents } from '../../../storage/rooms/timeline/newest-events.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { unreadCounts } from '../../push/unread-counts.ts'
import type { UnreadCount } from '../../push/unread-room.ts'
import { serveEvents, serveStateEvents } from '../../rooms/reading/serve-events.ts'
import { answerBudget } from '../answers/answer-budget.ts'
import type { SyncViewer } from '../sections/sync-room.ts'
import { BEFORE_EVERYTHING, type PlannedSpan, type SlidingContent, slidingContent } from './sliding-room-content.ts'

type Served = Omit<ClientEvent, 'room_id'>

/** A room in a response; undefined keys are unchanged. The endpoint chooses the names. */
export type SlidingRoom = {
  membership: Membership
  isInitial: boolean
  isExpanded: boolean
  /** null: it has none any more. */
  name?: string | null
  avatar?: string | null
  heroes?: MemberProfile[]
  isDirect?: boolean
  requiredState: Served[]
  deletedState: StateKey[]
  timeline?: { events: Served[]; limited: boolean; prevBatch: string; numLive: number }
  stripped?: JsonObject[]
  bumpStamp?: number
  joinedCount?: number
  invitedCount?: number
  unread?: UnreadCount
}

type Reading = Pick<App, 'config' | 'database' | 'clock' | 'stream' | 'logger' | 'reading' | 'push'>

/** Rooms read concurrently: their loads in the same turn share one query (storage/engine/shared-loads.ts). */
const ROOMS_AT_ONCE = 100
/** Maximum number of events read together, however long timelines may be. */
const EVENTS_AT_ONCE = 2000

/**
 * Reads rooms until the response is full. `live`: nids of events since the last response. A room that cannot be read is
 * logged and left out, so that it comes with a later response. `isComplete`: whether all fit.
 */
export async function slidingRooms(
  app: Reading,
  viewer: SyncViewer,
  { spans, live }: { spans: readonly PlannedSpan[]; live: ReadonlySet<number> },
): Promise<{ contents: SlidingContent[]; rooms: Map<RoomId, SlidingRoom>; isComplete: boolean }> {
  const contents: SlidingContent[] = []
  let left = app.config.limits.answers.events
  let start = 0
  const { timeline } = answerBudget(app, { rooms: spans.length })
  const reader = { ...viewer, budget: { ...viewer.budget, timeline } }
  while (start < spans.length && left > 0) {
    const next = spans.slice(start, start + Math.min(ROOMS_AT_ONCE, Math.ceil(left / timeline)))
    const some = next.slice(0, roomsAtOnce(next))
    const read = await readContents(app, reader, { spans: some, rooms: spans.length })
    for (const content of read) left -= sizeOf(content)
    contents.push(...read)
    start += some.length
  }
  const [served, shown, unread] = await Promise.all([
    serveAll(app, viewer, contents),
    describeMembers(app, viewer, contents),
    unreadOf(app, viewer, contents),
  ])
  return {
    contents,
    rooms: new Map(
      contents.map((content) => [content.span.room.roomId, slidingRoom(content, { served, live, unread, ...shown })]),
    ),
    isComplete: start >= spans.length,
  }
}

function roomsAtOnce(spans: readonly PlannedSpan[]): number {
  const longest = Math.max(...spans.map(({ config }) => config.timelineLimit))
  return Math.max(1, Math.min(spans.length, Math.floor(EVENTS_AT_ONCE / (longest + 1))))
}

function sizeOf({ timeline, state, stripped }: SlidingContent): number {
  const events = [...(timeline?.events ?? []), ...state.required]
  return bytesOf(events) + (stripped ? JSON.stringify(stripped).length : 0)
}

async function readContents(
  app: Reading,
  viewer: SyncViewer,
  { spans, rooms }: { spans: readonly PlannedSpan[]; rooms: number },
): Promise<SlidingContent[]> {
  const wanted = spans.filter(({ room, config }) => room.membership === 'join' && config.timelineLimit > 0)
  const newest = await loadNewestEvents(
    app.database,
    wanted.map(({ room, known, isExpanded, config }) => ({
      roomId: room.roomId,
      after: known?.membership === 'join' && !isExpanded ? known.event_order : BEFORE_EVERYTHING,
      last: room.lastOrder,
      // One more shows whether the timeline is limited.
      limit: config.timelineLimit + 1,
      bytes: viewer.budget.timeline,
    })),
  )
  const contents = spans.map((span) =>
    slidingContent(app, viewer, { ...span, rooms, newest: newest.get(span.room.roomId) ?? [] }).catch(
      (error: unknown) => {
        app.logger.warn({ err: error, room_id: span.room.roomId }, 'sliding sync of a room failed')
        return undefined
      },
    ),
  )
  return (await Promise.all(contents)).filter((content) => content !== undefined)
}

/** Returns all events of a response in the client format, by nid. */
async function serveAll(app: Reading, { userId, deviceId }: SyncViewer, contents: readonly SlidingContent[]) {
  const reader = { userId, deviceId }
  const timelines = contents.flatMap(({ timeline }) => timeline ?? [])
  const ofTimelines = (limited: boolean) =>
    timelines.flatMap((timeline) => (timeline.limited === limited ? timeline.events : []))
  const serve = async (events: StoredEvent[], serving: Promise<ClientEvent[]>) => {
    const served = await serving
    return events.map((event, place): [number, Served] => {
      const { room_id: _, ...withoutRoom } = served[place]!
      return [event.event_nid, withoutRoom]
    })
  }
  const state = contents.flatMap((content) => content.state.required)
  const [bundled, plain, ofState] = await Promise.all([
    serve(ofTimelines(true), serveEvents(app, { events: ofTimelines(true), ...reader, bundle: true })),
    serve(ofTimelines(false), serveEvents(app, { events: ofTimelines(false), ...reader })),
    serve(state, serveStateEvents(app, { events: state, ...reader })),
  ])
  return { timeline: new Map([...bundled, ...plain]), state: new Map(ofState) }
}

/** Loads member counts of rooms whose members changed, and the heroes of unnamed rooms. */
async function describeMembers(app: Reading, { userId }: SyncViewer, contents: readonly SlidingContent[]) {
  const changed = contents.filter(({ span, state }) => span.room.membership === 'join' && state.changes.members)
  const summaries = await loadRoomSummaries(
    app.database,
    changed.map(({ span }) => span.room.roomId),
    userId,
  )
  const heroes = [...summaries.values()].flatMap(({ room_id, heroes: users }) =>
    (users ?? []).map((hero) => ({ roomId: room_id, userId: hero })),
  )
  return { summaries, heroes: await loadMemberProfiles(app.database, heroes) }
}

async function unreadOf(
  app: Reading,
  { userId }: SyncViewer,
  contents: readonly SlidingContent[],
): Promise<Map<RoomId, UnreadCount>> {
  const joined = contents.filter(({ span }) => span.room.membership === 'join')
  return loadUnread(
    app,
    userId,
    joined.map(({ span }) => ({ roomId: span.room.roomId, last: span.room.lastOrder, events: span.newest })),
  )
}

/** Returns a user's unread counts in some rooms, all threads together. `events`: the newest ones, as far as loaded. */
export async function loadUnread(
  app: Reading,
  userId: SyncViewer['userId'],
  rooms: readonly { roomId: RoomId; last: number; events: readonly StoredEvent[] }[],
): Promise<Map<RoomId, UnreadCount>> {
  const counts = await unreadCounts(app, userId, new Map(rooms.map(({ roomId, ...newest }) => [roomId, newest])))
  return new Map(
    [...counts].map(([roomId, threads]) => {
      const sum = { notification_count: 0, highlight_count: 0 }
      for (const { notification_count, highlight_count } of threads.values()) {
        sum.notification_count += notification_count
        sum.highlight_count += highlight_count
      }
      return [roomId, sum]
    }),
  )
}

type Found = {
  served: Awaited<ReturnType<typeof serveAll>>
  summaries: ReadonlyMap<RoomId, SyncSummary>
  heroes: ReadonlyMap<RoomId, MemberProfile[]>
  unread: ReadonlyMap<RoomId, UnreadCount>
  live: ReadonlySet<number>
}

function slidingRoom(content: SlidingContent, found: Found): SlidingRoom {
  const { span, isInitial, state, stripped } = content
  const { room, isExpanded } = span
  const summary = found.summaries.get(room.roomId)
  const unread = found.unread.get(room.roomId)
  return {
    membership: room.membership,
    isInitial,
    isExpanded,
    ...namesOf(content),
    ...(summary?.heroes && { heroes: found.heroes.get(room.roomId) ?? [] }),
    requiredState: state.required.map((event) => found.served.state.get(event.event_nid)!),
    deletedState: state.deleted,
    ...timelineOf(content, found),
    ...(stripped && { stripped }),
    bumpStamp: room.membership === 'join' ? room.bump : room.since,
    ...(summary && { joinedCount: summary.joined_members, invitedCount: summary.invited_members }),
    ...(unread && { unread }),
  }
}

function namesOf({
  isInitial,
  state: { changes },
  name,
  avatar,
}: SlidingContent): Pick<SlidingRoom, 'name' | 'avatar'> {
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : null)
  const names: Pick<SlidingRoom, 'name' | 'avatar'> = {}
  if (changes.name) names.name = text(name?.pdu.content.name)
  if (changes.avatar) names.avatar = text(avatar?.pdu.content.url)
  // A new room omits absent values.
  if (isInitial && names.name === null) delete names.name
  if (isInitial && names.avatar === null) delete names.avatar
  return names
}

function timelineOf(content: SlidingContent, { served, live }: Found): Pick<SlidingRoom, 'timeline'> {
  const { timeline, previous } = content
  if (!timeline) return {}
  const { events, limited } = timeline
  return {
    timeline: {
      events: events.map((event) => served.timeline.get(event.event_nid)!),
      limited,
      prevBatch: paginationToken(previous),
      numLive: events.length - 1 - events.findLastIndex(isOld(content, live)),
    },
  }
}

/** Events up to the client's known order are old; for other rooms, the stream shows which events are live. */
function isOld({ span: { known }, isInitial, timeline }: SlidingContent, live: ReadonlySet<number>) {
  if (known && !isInitial) return (event: StoredEvent) => event.event_order! <= known.event_order
  const newest = timeline?.events.findLast((event) => live.has(event.event_nid))
  // The database may be ahead of the stream.
  return (event: StoredEvent) => !live.has(event.event_nid) && (!newest || event.event_order! < newest.event_order!)
}
