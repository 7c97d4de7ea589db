import type { App } from '../../../app.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { isLazy, type RoomConfig } from '../../../core/rooms/room-config.ts'
import type { ListedRoom } from '../../../storage/rooms/room-lists.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import { readStateEvents } from '../../../storage/rooms/timeline/room-state.ts'
import type { KnownRoom } from '../../../storage/schema/sliding-sync.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { loadJoinSpans } from '../../rooms/access/join-spans.ts'
import { strippedState } from '../../rooms/membership/stripped-state.ts'
import { type SyncTimeline, syncTimeline, type TimelineViewer } from '../sections/sync-timeline.ts'
import { type StateNews, stateNews } from './sliding-state.ts'

/** The range of a room in a response. */
export type SlidingSpan = {
  room: ListedRoom
  config: RoomConfig
  /** The client's knowledge; undefined: none, so it gets everything. */
  known: KnownRoom | undefined
  /** The configuration of the last response. */
  oldConfig: RoomConfig | undefined
  /** Whether the client requests a longer timeline than before: the timeline is sent again. */
  isExpanded: boolean
  /** The newest events after the client's position (or of all), oldest first, as far as loaded. */
  newest: readonly StoredEvent[]
  /** The number of rooms in the response. */
  rooms: number
}

/** A range before its newest events are loaded. */
export type PlannedSpan = Omit<SlidingSpan, 'newest' | 'rooms'>

/** A room's part of a response, before formatting. */
export type SlidingContent = {
  span: SlidingSpan
  isInitial: boolean
  timeline: SyncTimeline | undefined
  /** The point before the timeline. */
  previous: number
  state: StateNews
  /** The name and avatar events of the state, if they may have changed. */
  name: StoredEvent | undefined
  avatar: StoredEvent | undefined
  stripped: JsonObject[] | undefined
  /** The client's knowledge after the response; the caller fills in the configuration and flags. */
  nowKnown: Omit<KnownRoom, 'config' | 'flags'>
}

/** More events than any timeline limit. */
const WHOLE_TIMELINE = 1_000_000
/** Maximum number of members remembered as sent per room and connection; others are sent again when they speak. */
const MOST_MEMBERS = 100
export const BEFORE_EVERYTHING = -Number.MAX_SAFE_INTEGER

type Reading = Pick<App, 'config' | 'database' | 'clock'>

/** Reads a room's content according to the membership: joined, invited or knocking, or departed. */
export async function slidingContent(app: Reading, viewer: TimelineViewer, span: SlidingSpan): Promise<SlidingContent> {
  switch (span.room.membership) {
    case 'join':
      return insideContent(app, viewer, span, { end: span.room.stateRoot, last: span.room.lastOrder })
    case 'invite':
    case 'knock':
      return outsideContent(app, span)
    default:
      return departedContent(app, viewer, span)
  }
}

async function insideContent(
  app: Reading,
  viewer: TimelineViewer,
  span: SlidingSpan,
  { end, last }: { end: number; last: number },
): Promise<SlidingContent> {
  const { room, known, config, isExpanded } = span
  const isInitial = known?.membership !== 'join'
  const timeline = await timelineOf(app, viewer, span, last)
  const limited = timeline?.limited ?? false
  // Clients forget members if the timeline has a gap.
  const sentMembers = isInitial || limited ? [] : known.members
  const state = await stateNews(app, {
    from: isInitial ? undefined : known.state_root,
    to: end,
    config,
    oldConfig: span.oldConfig,
    timeline: timeline?.events ?? [],
    limited: limited && (isInitial || (timeline?.events[0]?.event_order ?? last + 1) > known.event_order + 1),
    sentMembers,
    budget: viewer.budget.state,
    redacted: isInitial ? [] : room.redacted,
  })
  const [name, avatar] = await shownState(app, end, state)
  const sent = timeline?.events.length ?? 0
  const before = isInitial || isExpanded || limited ? 0 : known.events
  return {
    span,
    isInitial,
    timeline,
    previous: (timeline?.events[0]?.event_order ?? last + 1) - 1,
    state,
    name,
    avatar,
    stripped: undefined,
    nowKnown: {
      membership: room.membership,
      state_root: end,
      event_order: room.membership === 'join' ? last : (room.memberNid ?? 0),
      events:
        (isInitial || isExpanded) && !limited && timeline ? WHOLE_TIMELINE : Math.min(before + sent, WHOLE_TIMELINE),
      members: membersAfter(config, sentMembers, state),
    },
  }
}

/** Returns the members that the client knows after the response; of many, the last sent. */
function membersAfter(config: RoomConfig, before: readonly number[], { required }: StateNews): readonly number[] {
  if (!isLazy(config)) return []
  const sent = required.flatMap(({ pdu, event_nid }) => (pdu.type === 'm.room.member' ? event_nid : []))
  return sent.length === 0 ? before : [...new Set([...before, ...sent])].slice(-MOST_MEMBERS)
}

async function timelineOf(
  app: Reading,
  viewer: TimelineViewer,
  { room, known, config, isExpanded, newest }: SlidingSpan,
  last: number,
): Promise<SyncTimeline | undefined> {
  if (config.timelineLimit === 0) return undefined
  const filter = { ...viewer.filter, timelineLimit: config.timelineLimit }
  const after = known?.membership === 'join' && !isExpanded ? known.event_order : BEFORE_EVERYTHING
  return syncTimeline(app, { ...viewer, filter }, { roomId: room.roomId, after, before: last + 1, newest })
}

/** Returns the name and avatar, if they may have changed. */
async function shownState(app: Reading, root: number, { changes }: StateNews) {
  if (!changes.name && !changes.avatar) return [undefined, undefined] as const
  const [name, avatar] = await readStateEvents(app.database, root, [
    { type: 'm.room.name', state_key: '' },
    { type: 'm.room.avatar', state_key: '' },
  ])
  return [name, avatar] as const
}

async function outsideContent(app: Reading, span: SlidingSpan): Promise<SlidingContent> {
  const { memberNid } = span.room
  const stripped = memberNid === null ? undefined : await strippedState(app, memberNid, { rooms: span.rooms })
  return { ...nothing(span), stripped: stripped ?? [] }
}

/** A former member gets the events up to the leave; in rooms that they never joined, only the leave itself. */
async function departedContent(app: Reading, viewer: TimelineViewer, span: SlidingSpan): Promise<SlidingContent> {
  const { room } = span
  const own =
    room.memberNid === null ? undefined : (await loadEvents(app.database, [room.memberNid])).get(room.memberNid)
  if (!own) return nothing(span)
  const ended = (await loadJoinSpans(app, viewer.userId, new Set([room.roomId]))).get(room.roomId)?.end
  const wasInside = span.known === undefined || span.known.membership === 'join'
  if (ended && wasInside && own.event_order !== null) {
    return insideContent(
      app,
      viewer,
      { ...span, newest: [] },
      { end: ended.room_after ?? ended.state_after ?? 0, last: own.event_order },
    )
  }
  return { ...nothing(span), timeline: { events: [own], limited: false }, state: { ...NO_NEWS, required: [own] } }
}

const NO_NEWS: StateNews = { required: [], deleted: [], changes: { members: false, name: false, avatar: false } }

function nothing(span: SlidingSpan): SlidingContent {
  const { room, known } = span
  return {
    span,
    isInitial: known === undefined || known.membership !== room.membership,
    timeline: undefined,
    previous: 0,
    state: NO_NEWS,
    name: undefined,
    avatar: undefined,
    stripped: undefined,
    nowKnown: { membership: room.membership, state_root: 0, event_order: room.memberNid ?? 0, events: 0, members: [] },
  }
}
