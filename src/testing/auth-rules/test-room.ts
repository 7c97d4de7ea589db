import { checkEventAuth } from '../../core/auth-rules/check-event-auth.ts'
import type { AuthState } from '../../core/auth-rules/verdict.ts'
import type { Event, JsonObject } from '../../core/pdu.ts'
import { ROOM_VERSIONS, type RoomVersion } from '../../core/room-versions.ts'
import { type TestEvent, testEvent } from './test-event.ts'

/** A room created by @alice:a. */
export type TestRoom = {
  create?: JsonObject
  join_rule?: string
  power_levels?: JsonObject
  /** Memberships by user ID; @alice:a has joined by default. */
  members?: Record<string, string>
  others?: TestEvent[]
}

/** Returns the room version with an ID, which must exist. */
export function versionOf(id: string): RoomVersion {
  return ROOM_VERSIONS.get(id)!
}

/** Returns the ID of the test room in a version. */
export function roomIdOf(version: RoomVersion): string {
  return version.roomIdIsCreateHash ? '!create:a' : '!room:a'
}

/** Returns the state of the room in a version. */
export function roomState(version: RoomVersion, room: TestRoom): AuthState {
  return stateOf(roomEvents(version, room))
}

/** Returns the state events of the room. */
export function roomEvents(version: RoomVersion, room: TestRoom): Event[] {
  const creator: JsonObject = version.implicitCreator ? {} : { creator: '@alice:a' }
  const events: TestEvent[] = [
    {
      event_id: '$create:a',
      room_id: version.roomIdIsCreateHash ? null : '!room:a',
      type: 'm.room.create',
      state_key: '',
      content: { ...creator, room_version: version.id, ...room.create },
      prev_events: [],
    },
  ]
  if (room.join_rule !== undefined) events.push(state('m.room.join_rules', '', { join_rule: room.join_rule }))
  if (room.power_levels !== undefined) events.push(state('m.room.power_levels', '', room.power_levels))
  for (const [userId, membership] of Object.entries({ '@alice:a': 'join', ...room.members })) {
    events.push({ ...state('m.room.member', userId, { membership }), event_id: `$member-${userId}` })
  }
  return [...events, ...(room.others ?? [])].map((event) => testEvent({ room_id: roomIdOf(version), ...event }))
}

/** Returns `ok`, or the number of the rule that rejects an event in the room. */
export function verdictOf(versionId: string, room: TestRoom, event: TestEvent): string {
  const version = versionOf(versionId)
  const verdict = checkEventAuth(version, testEvent({ room_id: roomIdOf(version), ...event }), roomState(version, room))
  return verdict.allowed ? 'ok' : verdict.rule
}

/** Returns a member event: of its sender unless `of` names another. */
export function member(sender: string, membership: string, of = sender, content: JsonObject = {}): TestEvent {
  return { type: 'm.room.member', sender, state_key: of, content: { membership, ...content } }
}

/** Returns a state event. */
export function state(type: string, stateKey: string, content: JsonObject, sender = '@alice:a'): TestEvent {
  return { type, state_key: stateKey, content, sender }
}

function stateOf(events: readonly Event[]): AuthState {
  const byKey = new Map(events.map((event) => [JSON.stringify([event.pdu.type, event.pdu.state_key]), event]))
  return { get: (type, stateKey) => byKey.get(JSON.stringify([type, stateKey])) }
}
