import type { App } from '../../../app.ts'
import type { ClientEvent } from '../../../core/events/client-event.ts'
import { pickFields } from '../../../core/filters/pick-fields.ts'
import type { DeviceId, RoomId } from '../../../core/ids.ts'
import { paginationToken } from '../../../core/pagination-token.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import type { SyncSummary } from '../../../storage/rooms/room-heroes.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { serveEvents, serveStateEvents } from '../../rooms/reading/serve-events.ts'
import { type RoomContent, type RoomSpan, roomContent } from './sync-room-content.ts'
import type { TimelineViewer } from './sync-timeline.ts'

export type SyncViewer = TimelineViewer & {
  deviceId: DeviceId | null
  /**
   * The key of the state at the end of the timeline, if the client requests that:
   * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync
   */
  stateAfter: 'state_after' | 'org.matrix.msc4222.state_after' | undefined
}

export type SyncedRoom = {
  timeline: { events: object[]; limited: boolean; prev_batch: string }
  summary?: JsonObject
} & Partial<Record<'state' | 'state_after' | 'org.matrix.msc4222.state_after', { events: object[] }>>

/** Rooms read concurrently: their loads in the same turn share one query (storage/engine/shared-loads.ts). */
const ROOMS_AT_ONCE = 100

/** Returns the timeline, state and summary of rooms for /sync. Loads shared data at once. */
export async function syncRooms(
  app: Pick<App, 'config' | 'database' | 'clock' | 'reading'>,
  viewer: SyncViewer,
  spans: readonly RoomSpan[],
): Promise<Map<RoomId, SyncedRoom>> {
  const contents: RoomContent[] = []
  for (let start = 0; start < spans.length; start += ROOMS_AT_ONCE) {
    const some = spans.slice(start, start + ROOMS_AT_ONCE)
    contents.push(...(await Promise.all(some.map((span) => roomContent(app, viewer, span)))))
  }
  const { userId, deviceId } = viewer
  const serve = (events: readonly StoredEvent[], bundle: boolean) =>
    serveEvents(app, { events, userId, deviceId, bundle })
  const ofTimelines = (limited: boolean) =>
    contents.flatMap(({ timeline }) => (timeline.limited === limited ? timeline.events : []))
  const [bundled, plain, state] = await Promise.all([
    serve(ofTimelines(true), true),
    serve(ofTimelines(false), false),
    serveStateEvents(app, { events: contents.flatMap((content) => content.state), userId, deviceId }),
  ])
  const timelineEvents = new Map([...bundled, ...plain].map((event) => [event.event_id, event]))
  const stateEvents = new Map(state.map((event) => [event.event_id, event]))
  return new Map(
    contents.map((content) => [content.span.roomId, syncedRoom(viewer, content, { timelineEvents, stateEvents })]),
  )
}

type Served = ReadonlyMap<string, ClientEvent>

function syncedRoom(
  viewer: SyncViewer,
  { span, timeline, previous, state }: RoomContent,
  served: { timelineEvents: Served; stateEvents: Served },
): SyncedRoom {
  const first = timeline.events[0]
  return {
    timeline: {
      events: formatEvents(viewer, timeline.events, served.timelineEvents),
      limited: timeline.limited || (span.isNewlyJoined === true && first?.pdu.type !== 'm.room.create'),
      prev_batch: paginationToken(previous),
    },
    [viewer.stateAfter ?? 'state']: { events: formatEvents(viewer, state, served.stateEvents) },
    ...(span.summary && { summary: summaryJson(span.summary) }),
  }
}

/**
 * Applies `event_format` and `event_fields` of the filter. Events in /sync have no room_id.
 * https://spec.matrix.org/v1.19/client-server-api/#filtering
 */
export function formatEvents({ filter }: SyncViewer, stored: readonly StoredEvent[], served: Served): object[] {
  const formatted = stored.map(({ pdu, event_id }) => {
    const { room_id, ...event } = served.get(event_id)!
    if (filter.format === 'client') return event
    return { ...pdu, event_id, room_id, unsigned: { ...pdu.unsigned, ...event.unsigned } }
  })
  const fields = filter.eventFields
  return fields ? formatted.map((event) => pickFields(event as JsonObject, fields)) : formatted
}

function summaryJson({ joined_members, invited_members, heroes }: SyncSummary): JsonObject {
  return {
    ...(heroes && { 'm.heroes': heroes.slice(0, 5) }),
    'm.joined_member_count': joined_members,
    'm.invited_member_count': invited_members,
  }
}
