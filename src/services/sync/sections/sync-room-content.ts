import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import type { SyncSummary } from '../../../storage/rooms/room-heroes.ts'
import { readChangedState, readStateEvents } from '../../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { syncState } from './sync-state.ts'
import { type SyncTimeline, syncTimeline, type TimelineViewer } from './sync-timeline.ts'

/** The range of a current or former room that a sync covers. */
export type RoomSpan = {
  roomId: RoomId
  /** State group that the client has; undefined: the room is new to it, and it gets all state. */
  since: number | undefined
  /** State group at the end. */
  end: number
  /** event_order of the event after which `end` is the state, if that is not `last`: the user sees no later state. */
  endOrder?: number
  /** The user may not see the room's state, except `own`. */
  hidesState?: boolean
  /** In a room that the user is not in: the user's member event. */
  own?: StoredEvent | undefined
  /** event_order of the last event that the client has (0: none), and of the last one in the response. */
  after: number
  last: number
  /** The newest events up to `last`, oldest first, as far as loaded. */
  newest: readonly StoredEvent[]
  summary: SyncSummary | undefined
  /** State events redacted since the client got them. */
  redacted?: readonly StoredEvent[]
  /** Members to include whatever the filter says. */
  members?: readonly UserId[]
  /** The user has just joined: missing events count as a gap, even if a filter dropped them. */
  isNewlyJoined?: boolean
}

/** A room's part of a sync, before formatting. */
export type RoomContent = {
  span: RoomSpan
  timeline: SyncTimeline
  /** The point before the timeline: the order of the event before it. */
  previous: number
  state: StoredEvent[]
}

type SpanViewer = TimelineViewer & { stateAfter: string | undefined }

/**
 * Reads the timeline of a range, and its state: at the start of the timeline, or at its end if the client requests
 * that.
 */
export async function roomContent(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  viewer: SpanViewer,
  span: RoomSpan,
): Promise<RoomContent> {
  const content = await contentOf(app, viewer, span)
  const state = withOwn(viewer, content)
  viewer.sentMembers?.note(span.roomId, [...state, ...content.timeline.events])
  return { ...content, state }
}

/** The member event by which the user is outside the room is always included. */
function withOwn({ filter, stateAfter }: SpanViewer, { span: { own }, timeline, state }: RoomContent): StoredEvent[] {
  if (!own || !filter.takesState(own)) return state
  if (!stateAfter && timeline.events.some(({ event_nid }) => event_nid === own.event_nid)) return state
  return [...state.filter((event) => keyOf(event) !== keyOf(own)), own]
}

async function contentOf(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  viewer: SpanViewer,
  span: RoomSpan,
): Promise<RoomContent> {
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

/**
 * Returns the state group before the timeline, or at the end if the timeline is empty or later than the state that the
 * user may see.
 */
function startRoot(span: RoomSpan, { events }: SyncTimeline): number {
  const first = events[0]
  if (!first || first.event_order! > (span.endOrder ?? span.last)) return span.end
  return first.room_before ?? span.end
}

/**
 * Adds state that changed during the timeline by events outside it, which the filter dropped or the user may not see.
 * Clients apply the timeline after the state, so the timeline must not have an older event for the same state key: it
 * is cut after that.
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
  // Events after the end of the visible state, such as a ban of a former member, are excluded.
  const until = timeline.events.filter((event) => event.event_order! <= (span.endOrder ?? span.last))
  const last = new Map(until.filter(isState).map((event) => [keyOf(event), event]))
  const bounds = { from: startRoot(span, timeline), to: span.end }
  const { added } = await readChangedState(app.database, bounds, budget.state)
  const current = timeline.events.some(isForked) ? await currentOf(app, span.end, timeline) : []
  const omitted = new Set([...added, ...current])
  return [...omitted].filter((event) => !isSent(event, last.get(keyOf(event))) && filter.takesState(event))
}

/**
 * Returns whether a client that has `sent` does not need `event` instead: a former name does less harm than a gap in
 * the timeline.
 */
function isSent(event: StoredEvent, sent: StoredEvent | undefined): boolean {
  if (!sent || event.event_nid === sent.event_nid) return sent !== undefined
  return event.pdu.type === 'm.room.member' && event.pdu.content.membership === sent.pdu.content.membership
}

/**
 * Returns the current events for the state keys in a timeline: with forks these need not be the timeline's last ones.
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
