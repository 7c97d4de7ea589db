import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import type { SyncSummary } from '../../../storage/rooms/room-heroes.ts'
import { readChangedState, readStateEvents } from '../../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { syncState } from './sync-state.ts'
import { type SyncTimeline, syncTimeline, type TimelineViewer } from './sync-timeline.ts'

/** What a sync tells of a room that the user is or was in. */
export type RoomSpan = {
  roomId: RoomId
  /** Root of the state that the client has; undefined: it does not know the room, and gets all state. */
  since: number | undefined
  /** Root of the state at the end. */
  end: number
  /**
   * event_order of the event with that state after it, where that is not `last`: the user is shown no state of after
   * it.
   */
  endOrder?: number
  /** The user has no business with the room's state, but for `own`. */
  hidesState?: boolean
  /** Of a room that the user is outside of: the user's member event. */
  own?: StoredEvent | undefined
  /** event_order of the last event that the client has (0: none), and of the last one to tell. */
  after: number
  last: number
  /** The newest events up to `last`, oldest first, where they are at hand. */
  newest: readonly StoredEvent[]
  summary: SyncSummary | undefined
  /** Pieces of state that were emptied by redactions since the client knew them. */
  redacted?: readonly StoredEvent[]
  /** Members to be told of, whatever the filter says. */
  members?: readonly UserId[]
  /** The user has just joined: whatever is not in the timeline is a gap, even if a filter left it out. */
  isNewlyJoined?: boolean
}

/** What a sync tells of a room, before it is formatted. */
export type RoomContent = {
  span: RoomSpan
  timeline: SyncTimeline
  /** The point where the history before the timeline ends: the order of the event before it. */
  previous: number
  state: StoredEvent[]
}

type SpanViewer = TimelineViewer & { stateAfter: string | undefined }

/**
 * Reads the timeline of a span, and the state that goes with it: at the timeline's start, or at its end if the client
 * wants that.
 */
export async function roomContent(
  app: Pick<App, 'database'>,
  viewer: SpanViewer,
  span: RoomSpan,
): Promise<RoomContent> {
  const content = await contentOf(app, viewer, span)
  const state = withOwn(viewer, content)
  viewer.told?.note(span.roomId, [...state, ...content.timeline.events])
  return { ...content, state }
}

/** However a user came to be outside of a room, the member event that says so is told. */
function withOwn({ filter, stateAfter }: SpanViewer, { span: { own }, timeline, state }: RoomContent): StoredEvent[] {
  if (!own || !filter.takesState(own)) return state
  if (!stateAfter && timeline.events.some(({ event_nid }) => event_nid === own.event_nid)) return state
  return [...state.filter((event) => keyOf(event) !== keyOf(own)), own]
}

async function contentOf(app: Pick<App, 'database'>, viewer: SpanViewer, span: RoomSpan): Promise<RoomContent> {
  const { roomId, after, last, newest } = span
  const whole = await syncTimeline(app, viewer, { roomId, after, before: last + 1, newest })
  if (span.hidesState) return { span, timeline: whole, previous: previousOf(whole, last), state: [] }
  const heroes = [...(span.summary?.heroes ?? []), ...(span.members ?? [])]
  const needed = { roomId, from: span.since, heroes, redacted: span.redacted ?? [] }
  if (viewer.stateAfter) {
    const state = await syncState(app, viewer, {
      ...{ ...needed, to: span.end, timeline: whole.events, limited: whole.limited },
    })
    return { span, timeline: whole, previous: previousOf(whole, last), state }
  }
  const { timeline, previous, omitted } = await withoutConflicts(app, viewer, { span, whole })
  const stateAtStart = await syncState(app, viewer, {
    ...{ ...needed, to: startRoot(span, timeline), timeline: timeline.events, limited: timeline.limited },
  })
  const replaced = new Set(omitted.map(keyOf))
  const state = [...stateAtStart.filter((event) => !replaced.has(keyOf(event))), ...omitted]
  return { span, timeline, previous, state }
}

function previousOf(timeline: SyncTimeline, last: number): number {
  return (timeline.events[0]?.event_order ?? last + 1) - 1
}

/** The state before the timeline, or at its end when that is empty or after what the user may see of the state. */
function startRoot(span: RoomSpan, { events }: SyncTimeline): number {
  const first = events[0]
  if (!first || first.event_order! > (span.endOrder ?? span.last)) return span.end
  return first.room_before ?? span.end
}

/**
 * What changed in the state during the timeline by events that are not in it, as the filter left them out or the user
 * may not see them there, is told with the state. Since clients apply the timeline after the state, the timeline must
 * then not have an older event for the same piece of state: it is cut after that.
 */
async function withoutConflicts(
  app: Pick<App, 'database'>,
  viewer: TimelineViewer,
  { span, whole }: { span: RoomSpan; whole: SyncTimeline },
): Promise<{ timeline: SyncTimeline; previous: number; omitted: StoredEvent[] }> {
  const omitted = await omittedState(app, viewer, { span, timeline: whole })
  const keys = new Set(omitted.map(keyOf))
  const conflict = whole.events.findLast((event) => event.pdu.state_key !== undefined && keys.has(keyOf(event)))
  if (!conflict) return { timeline: whole, previous: previousOf(whole, span.last), omitted }
  const timeline = { events: whole.events.slice(whole.events.indexOf(conflict) + 1), limited: true }
  return {
    timeline,
    previous: timeline.events[0] ? previousOf(timeline, span.last) : conflict.event_order!,
    omitted: await omittedState(app, viewer, { span, timeline }),
  }
}

async function omittedState(
  app: Pick<App, 'database'>,
  { filter, budget }: TimelineViewer,
  { span, timeline }: { span: RoomSpan; timeline: SyncTimeline },
): Promise<StoredEvent[]> {
  // What came after the end of the state that is told, as a ban of who had left, has no part in it.
  const until = timeline.events.filter((event) => event.event_order! <= (span.endOrder ?? span.last))
  const last = new Map(until.filter(isState).map((event) => [keyOf(event), event]))
  const bounds = { from: startRoot(span, timeline), to: span.end }
  const { added } = await readChangedState(app.database, bounds, budget.state)
  const current = timeline.events.some(isForked) ? await currentOf(app, span.end, timeline) : []
  const omitted = new Set([...added, ...current])
  return [...omitted].filter((event) => !isTold(event, last.get(keyOf(event))) && filter.takesState(event))
}

/**
 * Whether a client that has `told` need not be told of `event` in its place: to show a former name does less harm than
 * a gap in the timeline.
 */
function isTold(event: StoredEvent, told: StoredEvent | undefined): boolean {
  if (!told || event.event_nid === told.event_nid) return told !== undefined
  return event.pdu.type === 'm.room.member' && event.pdu.content.membership === told.pdu.content.membership
}

/**
 * What is current of the pieces of state that a timeline has events for: with forks it need not be the last of these.
 */
async function currentOf(app: Pick<App, 'database'>, end: number, timeline: SyncTimeline): Promise<StoredEvent[]> {
  const keys = timeline.events.filter(isState).map(({ pdu }) => ({ type: pdu.type, state_key: pdu.state_key! }))
  return (await readStateEvents(app.database, end, keys)).flatMap((event) => event ?? [])
}

function isState({ pdu }: StoredEvent): boolean {
  return pdu.state_key !== undefined
}

function isForked(event: StoredEvent): boolean {
  return event.room_after !== event.state_after
}

function keyOf({ pdu }: StoredEvent): string {
  return `${pdu.type}\0${pdu.state_key}`
}
