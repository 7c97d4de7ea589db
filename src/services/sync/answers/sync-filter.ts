import {
  type EventFilter,
  type Filter,
  PROFILE_FIELDS,
  type RoomEventFilter,
} from '../../../core/filters/filter-schema.ts'
import { compileEventFilter, compileRoomEventFilter, compileRoomFilter } from '../../../core/filters/match-event.ts'
import type { TimelinePage } from '../../../storage/rooms/timeline/timeline-pages.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { eventConditions } from '../../rooms/reading/timeline-filter.ts'

type TypedEvent = { type: string; sender?: string }

/** A compiled filter of /sync. https://spec.matrix.org/v1.19/client-server-api/#filtering */
export type SyncFilter = {
  takesRoom(roomId: string): boolean
  includeLeave: boolean
  timelineLimit: number
  /** Whether it can match any event of a room's timeline. */
  takesTimelineOf(roomId: string): boolean
  takesTimeline(event: StoredEvent): boolean
  /** The part of the timeline filter that the database applies. */
  timelineConditions: Partial<TimelinePage>
  takesState(event: StoredEvent): boolean
  takesEphemeral(event: TypedEvent, roomId: string): boolean
  takesRoomAccountData(event: TypedEvent, roomId: string): boolean
  takesAccountData(event: TypedEvent): boolean
  takesPresence(event: TypedEvent): boolean
  /** The profile fields whose changes the client follows. */
  profileFields: ReadonlySet<string>
  lazyLoadMembers: boolean
  includeRedundantMembers: boolean
  unreadThreadNotifications: boolean
  eventFields: readonly string[] | undefined
  format: 'client' | 'federation'
}

const DEFAULT_LIMIT = 10
const MAX_LIMIT = 1000

/** Compiles a filter; `{}` matches everything. */
export function compileSyncFilter(filter: Filter): SyncFilter {
  const room = filter.room ?? {}
  const timeline = room.timeline ?? {}
  const state = room.state ?? {}
  return {
    takesRoom: compileRoomFilter(room),
    includeLeave: room.include_leave ?? false,
    timelineLimit: Math.min(timeline.limit ?? DEFAULT_LIMIT, MAX_LIMIT),
    takesTimelineOf: timelineRoomFilter(timeline),
    takesTimeline: storedEventFilter(timeline),
    timelineConditions: eventConditions(timeline),
    takesState: storedEventFilter(state),
    takesEphemeral: inRoom(room.ephemeral),
    takesRoomAccountData: inRoom(room.account_data),
    takesAccountData: withoutRoom(filter.account_data),
    takesPresence: withoutRoom(filter.presence),
    profileFields: new Set(filter[PROFILE_FIELDS]?.ids),
    lazyLoadMembers: state.lazy_load_members ?? timeline.lazy_load_members ?? false,
    includeRedundantMembers: state.include_redundant_members ?? timeline.include_redundant_members ?? false,
    unreadThreadNotifications: timeline.unread_thread_notifications ?? false,
    eventFields: filter.event_fields && filter.event_fields.length > 0 ? filter.event_fields : undefined,
    format: filter.event_format ?? 'client',
  }
}

function timelineRoomFilter(filter: RoomEventFilter): (roomId: string) => boolean {
  if (filter.types?.length === 0 || filter.senders?.length === 0) return () => false
  return compileRoomFilter(filter)
}

function storedEventFilter(filter: RoomEventFilter): (event: StoredEvent) => boolean {
  const takes = compileRoomEventFilter(filter)
  return ({ room_id, pdu }) => takes({ type: pdu.type, sender: pdu.sender, room_id, content: pdu.content })
}

function inRoom(filter: RoomEventFilter = {}): (event: TypedEvent, roomId: string) => boolean {
  const takes = compileRoomEventFilter(filter)
  return ({ type, sender }, roomId) => takes({ type, sender, room_id: roomId, content: {} })
}

function withoutRoom(filter: EventFilter = {}): (event: TypedEvent) => boolean {
  const takes = compileEventFilter(filter)
  return ({ type, sender }) => takes({ type, sender, content: {} })
}
