import type { App } from '../../app.ts'
import type { ClientEvent } from '../../core/events/client-event.ts'
import type { JsonObject } from '../../core/events/pdu.ts'
import { pickFields } from '../../core/filters/pick-fields.ts'
import type { DeviceId, RoomId } from '../../core/ids.ts'
import { paginationToken } from '../../core/pagination-token.ts'
import type { RoomSummary } from '../../storage/room-heroes.ts'
import type { StoredEvent } from '../../storage/stored-event.ts'
import { serveEvents, serveStateEvents } from '../rooms/serve-events.ts'
import { syncState } from './sync-state.ts'
import { syncTimeline, type Viewer } from './sync-timeline.ts'

/** What a sync tells of a room that the user is or was in. */
export type RoomSpan = {
  roomId: RoomId
  /** Root of the state that the client has; undefined: it does not know the room, and gets all state. */
  since: number | undefined
  /** Root of the state at the end. */
  end: number
  /** event_order of the last event that the client has (0: none), and of the last one to tell. */
  after: number
  last: number
  /** The newest events up to `last`, oldest first, where they are at hand. */
  newest: readonly StoredEvent[]
  summary: RoomSummary | undefined
  /** The user has just joined: whatever is not in the timeline is a gap, even if a filter left it out. */
  isNewlyJoined?: boolean
}

export type SyncViewer = Viewer & {
  deviceId: DeviceId | null
  /** Under which name state at the end of the timeline goes, if the client asks for that: https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync */
  stateAfter: 'state_after' | 'org.matrix.msc4222.state_after' | undefined
}

export type SyncedRoom = {
  timeline: { events: object[]; limited: boolean; prev_batch: string }
  summary?: JsonObject
} & Partial<Record<'state' | 'state_after' | 'org.matrix.msc4222.state_after', { events: object[] }>>

/** The timeline, state and summary of a room for /sync. */
export async function syncRoom(
  app: Pick<App, 'database' | 'clock'>,
  viewer: SyncViewer,
  span: RoomSpan,
): Promise<SyncedRoom> {
  const timeline = await syncTimeline(app, viewer, {
    roomId: span.roomId,
    after: span.after,
    before: span.last + 1,
    newest: span.newest,
  })
  const first = timeline.events[0]
  const to = viewer.stateAfter ? span.end : (first?.state_before ?? span.end)
  const state = await syncState(app, viewer, {
    from: span.since,
    to,
    timeline: timeline.events,
    heroes: span.summary?.heroes ?? [],
  })
  const { userId, deviceId } = viewer
  const [events, stateEvents] = await Promise.all([
    serveEvents(app, { events: timeline.events, userId, deviceId, bundle: timeline.limited }),
    serveStateEvents(app, { events: state, userId, deviceId }),
  ])
  return {
    timeline: {
      events: format(viewer, timeline.events, events),
      limited: timeline.limited || (span.isNewlyJoined === true && first?.pdu.type !== 'm.room.create'),
      prev_batch: paginationToken((first?.event_order ?? span.last + 1) - 1),
    },
    [viewer.stateAfter ?? 'state']: { events: format(viewer, state, stateEvents) },
    ...(span.summary && { summary: summaryJson(span.summary) }),
  }
}

/** https://spec.matrix.org/v1.19/client-server-api/#filtering: `event_format` and `event_fields`. In /sync events do not name their room. */
function format({ filter }: SyncViewer, stored: readonly StoredEvent[], served: readonly ClientEvent[]): object[] {
  const formatted = served.map(({ room_id, ...event }, place) => {
    if (filter.format === 'client') return event
    const { pdu, event_id } = stored[place]!
    return { ...pdu, event_id, room_id, unsigned: { ...pdu.unsigned, ...event.unsigned } }
  })
  const fields = filter.eventFields
  return fields ? formatted.map((event) => pickFields(event as JsonObject, fields)) : formatted
}

function summaryJson({ joined_members, invited_members, heroes }: RoomSummary): JsonObject {
  return {
    ...(heroes && { 'm.heroes': heroes.slice(0, 5) }),
    'm.joined_member_count': joined_members,
    'm.invited_member_count': invited_members,
  }
}
