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

/** A room of which something is to be told. */
export type SlidingSpan = {
  room: ListedRoom
  config: RoomConfig
  /** What the client knows; undefined: nothing that counts, it gets everything. */
  known: KnownRoom | undefined
  /** The configuration that it was told by. */
  oldConfig: RoomConfig | undefined
  /** Whether it wants more of the history than it has: the timeline is told anew. */
  isExpanded: boolean
  /** The newest events after what the client knows (or altogether), oldest first, where they are at hand. */
  newest: readonly StoredEvent[]
  /** Of how many rooms the answer tells something. */
  rooms: number
}

/** A span before its newest events are at hand. */
export type PlannedSpan = Omit<SlidingSpan, 'newest' | 'rooms'>

/** What is told of a room, before it is formatted. */
export type SlidingContent = {
  span: SlidingSpan
  isInitial: boolean
  timeline: SyncTimeline | undefined
  /** The point where the history before the timeline ends. */
  previous: number
  state: StateNews
  /** The state's name and avatar events, where they may have changed. */
  name: StoredEvent | undefined
  avatar: StoredEvent | undefined
  stripped: JsonObject[] | undefined
  /** What the client knows when it has got this; the configuration and flags are for the caller to fill in. */
  nowKnown: Omit<KnownRoom, 'config' | 'flags'>
}

/** All there is: more events than a timeline can ever be asked for. */
const WHOLE_TIMELINE = 1_000_000
/** So many members are remembered as told for each room of a connection; others are told again when they speak. */
const MOST_MEMBERS = 100
export const BEFORE_EVERYTHING = -Number.MAX_SAFE_INTEGER

type Reading = Pick<App, 'config' | 'database'>

/**
 * Reads what is to be told of a room: as its member, as one who is outside with a view on the door, or as one who has
 * gone.
 */
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
  // Clients forget members where the timeline has a gap.
  const toldMembers = isInitial || limited ? [] : known.members
  const state = await stateNews(app, {
    from: isInitial ? undefined : known.state_root,
    to: end,
    config,
    oldConfig: span.oldConfig,
    timeline: timeline?.events ?? [],
    limited: limited && (isInitial || (timeline?.events[0]?.event_order ?? last + 1) > known.event_order + 1),
    toldMembers,
    budget: viewer.budget.state,
    redacted: isInitial ? [] : room.redacted,
  })
  const [name, avatar] = await shownState(app, end, state)
  const told = timeline?.events.length ?? 0
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
        (isInitial || isExpanded) && !limited && timeline ? WHOLE_TIMELINE : Math.min(before + told, WHOLE_TIMELINE),
      members: membersAfter(config, toldMembers, state),
    },
  }
}

/** Members of whom the client knows once it has been told what is new of the state; of many, the last told. */
function membersAfter(config: RoomConfig, before: readonly number[], { required }: StateNews): readonly number[] {
  if (!isLazy(config)) return []
  const told = required.flatMap(({ pdu, event_nid }) => (pdu.type === 'm.room.member' ? event_nid : []))
  return told.length === 0 ? before : [...new Set([...before, ...told])].slice(-MOST_MEMBERS)
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

/** The name and avatar, where they may have changed. */
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

/** Who is gone is told what happened until then, and of rooms that they never were in only that. */
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
