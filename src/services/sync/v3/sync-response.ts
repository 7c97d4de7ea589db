import type { ClientEvent } from '../../../core/events/client-event.ts'
import { STICKY } from '../../../core/events/sticky.ts'
import type { RoomId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import type { AccountDataEvent } from '../sections/sync-account-data.ts'
import type { Ephemeral } from '../sections/sync-ephemeral.ts'
import type { ProfilesNews } from '../sections/sync-profiles.ts'
import type { SyncedRoom } from '../sections/sync-room.ts'
import type { SyncedUnread } from '../sections/sync-unread.ts'

/** The rooms of one sync, before formatting. */
export type SyncedRooms = {
  join: Map<RoomId, SyncedRoom>
  leave: Map<RoomId, SyncedRoom>
  invite: Map<RoomId, JsonObject[]>
  knock: Map<RoomId, JsonObject[]>
  ephemeral: Ephemeral
  accountData: Map<RoomId, AccountDataEvent[]>
  /** Sticky events that are not in the timeline. */
  sticky: Map<RoomId, object[]>
  /** Of joined rooms. */
  unread: Map<RoomId, SyncedUnread>
}

/** Returns a function that says whether the timelines of a response have an event. */
export function isInTimeline(join: SyncedRooms['join']): (event: StoredEvent) => boolean {
  const idsOf = (roomId: RoomId) =>
    new Set(join.get(roomId)?.timeline.events.map((event) => (event as Partial<ClientEvent>).event_id))
  const found = new Map<RoomId, ReturnType<typeof idsOf>>()
  return ({ room_id, event_id }) => {
    const ids = found.get(room_id) ?? idsOf(room_id)
    found.set(room_id, ids)
    return ids.has(event_id)
  }
}

/** Returns all state and timeline events of a response. */
export function* eventsIn({ join, leave }: Pick<SyncedRooms, 'join' | 'leave'>): Generator<object> {
  for (const { timeline, ...room } of [...join.values(), ...leave.values()]) {
    yield* timeline.events
    for (const key of ['state', 'state_after', 'org.matrix.msc4222.state_after'] as const) {
      yield* room[key]?.events ?? []
    }
  }
}

/** Returns the section with changes of profiles; absent if there are none. */
export function profileSection(profiles: ProfilesNews | undefined): object {
  if (!profiles || profiles.size === 0) return {}
  const updates = [...profiles].map(([user, news]) => {
    const removed = news?.removed.map((field) => [field, null] as const) ?? []
    return [user, { profile_updates: news && { ...news.updated, ...Object.fromEntries(removed) } }] as const
  })
  return { 'org.matrix.msc4429.users': Object.fromEntries(updates) }
}

/** Returns the response of /sync with its rooms and global account data; empty keys are left out, as in Synapse. */
export function syncResponse(
  rooms: SyncedRooms,
  global: readonly AccountDataEvent[],
  nextBatch: string,
): Record<string, unknown> {
  const join = Object.fromEntries([...rooms.join].map(([roomId, room]) => [roomId, withExtras(rooms, roomId, room)]))
  const sections = {
    join,
    leave: Object.fromEntries([...rooms.leave].map(([roomId, room]) => [roomId, withExtras(rooms, roomId, room)])),
    invite: Object.fromEntries([...rooms.invite].map(([roomId, events]) => [roomId, { invite_state: { events } }])),
    knock: Object.fromEntries([...rooms.knock].map(([roomId, events]) => [roomId, { knock_state: { events } }])),
  }
  const nonEmpty = Object.fromEntries(Object.entries(sections).filter(([, section]) => Object.keys(section).length > 0))
  return {
    next_batch: nextBatch,
    ...(global.length > 0 && { account_data: { events: global } }),
    ...(Object.keys(nonEmpty).length > 0 && { rooms: nonEmpty }),
  }
}

function withExtras(rooms: SyncedRooms, roomId: RoomId, room: SyncedRoom): object {
  const sticky = rooms.sticky.get(roomId)
  return {
    ...room,
    ...rooms.unread.get(roomId),
    ephemeral: { events: rooms.ephemeral.get(roomId) ?? [] },
    account_data: { events: rooms.accountData.get(roomId) ?? [] },
    ...(sticky && { [STICKY]: { events: sticky } }),
  }
}
