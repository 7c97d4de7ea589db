import fc from 'fast-check'
import { authEventKeys } from '../../core/auth-rules/auth-event-keys.ts'
import { checkEventAuth } from '../../core/auth-rules/check-event-auth.ts'
import type { EventId } from '../../core/ids.ts'
import type { Event, JsonObject } from '../../core/pdu.ts'
import type { RoomVersion } from '../../core/room-versions.ts'
import { type StateMap, stateKeyId } from '../../core/state-resolution/state-map.ts'
import { type TestEvent, testEvent } from '../auth-rules/test-event.ts'
import { oracle } from './test-oracle.ts'

/** An action of a user, as numbers that `play` interprets. */
type Action = {
  parents: number[]
  sender: number
  target: number
  kind: number
  level: number
  time: number
  isRejected: boolean
}

/** A room after a history: all events, and the states of its last events that a server may have to resolve. */
export type RandomRoom = { events: Map<EventId, Event>; states: StateMap[] }

const USERS = ['@alice:a', '@bob:b', '@carol:c', '@dave:d', '@eve:e']
const LEVELS = [0, 25, 50, 75, 100]

/** Histories with many forks, in which users promote, ban, kick and join against each other with wrong clocks. */
export const actions: fc.Arbitrary<Action[]> = fc.array(
  fc.record({
    parents: fc.array(fc.nat(5), { minLength: 1, maxLength: 2 }),
    sender: fc.nat(4),
    target: fc.nat(4),
    kind: fc.nat(11),
    level: fc.nat(4),
    time: fc.nat(12),
    isRejected: fc.nat(30).map((one) => one === 0),
  }),
  { minLength: 10, maxLength: 32, size: 'max' },
)

/** Plays a history in a room of a version; actions that are not allowed at their place are skipped. */
export function play(version: RoomVersion, history: readonly Action[]): RandomRoom {
  const events = new Map<EventId, Event>()
  const after: { id: EventId; state: StateMap }[] = []
  const add = (event: Event, before: StateMap) => {
    const state = new Map(before)
    state.set(stateKeyId(event.pdu.type, event.pdu.state_key!), event.event_id)
    events.set(event.event_id, event)
    after.push({ id: event.event_id, state })
  }
  for (const fields of beginning(version)) {
    const before = after.at(-1)?.state ?? new Map()
    const previous = after.slice(-1).map(({ id }) => id)
    add(citing(version, { prev_events: previous, ...fields }, { events, state: before, count: events.size }), before)
  }
  for (const action of history) {
    const parents = [...new Set(action.parents.map((back) => Math.max(after.length - 1 - back, 0)))].map(
      (i) => after[i]!,
    )
    const before = oracle(
      { version, events },
      parents.map(({ state }) => state),
    )
    const levels = events.get(before.get(stateKeyId('m.room.power_levels', ''))!)?.pdu.content ?? {}
    const fields = { ...deed(action, levels), prev_events: parents.map(({ id }) => id) }
    const event = citing(version, fields, { events, state: before, count: events.size })
    const get = (type: string, key: string) => events.get(before.get(stateKeyId(type, key))!)
    if (checkEventAuth(version, event, { get }).allowed) add({ ...event, rejected: action.isRejected }, before)
  }
  return { events, states: after.slice(-4).map(({ state }) => state) }
}

/** Returns the room as @alice:a creates it, with two members. */
function beginning(version: RoomVersion): TestEvent[] {
  const users = version.privilegedCreators ? { '@bob:b': 100 } : { '@alice:a': 100, '@bob:b': 100 }
  const create = version.implicitCreator ? {} : { creator: '@alice:a' }
  return [
    { type: 'm.room.create', state_key: '', content: create },
    { type: 'm.room.member', state_key: '@alice:a', content: { membership: 'join' } },
    { type: 'm.room.power_levels', state_key: '', content: { users } },
    { type: 'm.room.join_rules', state_key: '', content: { join_rule: 'public' } },
    { type: 'm.room.member', state_key: '@bob:b', sender: '@bob:b', content: { membership: 'join' } },
    { type: 'm.room.member', state_key: '@carol:c', sender: '@carol:c', content: { membership: 'join' } },
  ]
}

function deed({ sender, target, kind, level, time }: Action, levels: JsonObject): TestEvent {
  const [actor, victim] = [USERS[sender]!, USERS[target]!]
  const by = { sender: actor, origin_server_ts: time }
  const membership = (of: string, content: JsonObject) => ({ ...by, type: 'm.room.member', state_key: of, content })
  if (kind < 2) {
    const users = { ...(levels.users as JsonObject), [victim]: LEVELS[level]! }
    return { ...by, type: 'm.room.power_levels', state_key: '', content: { ...levels, users } }
  }
  if (kind === 2) {
    const content = { join_rule: level % 2 === 0 ? 'public' : 'invite' }
    return { ...by, type: 'm.room.join_rules', state_key: '', content }
  }
  if (kind < 5) return membership(actor, { membership: 'join', displayname: `${level}` })
  if (kind === 5) return membership(actor, { membership: 'leave' })
  if (kind === 6) return membership(victim, { membership: 'leave' })
  if (kind === 7) return membership(victim, { membership: 'ban' })
  if (kind === 8) return membership(victim, { membership: 'invite' })
  return { ...by, type: kind === 9 ? 'm.room.name' : 'm.room.topic', state_key: '', content: { text: `${level}` } }
}

/** Returns the event with its IDs and auth events. */
function citing(
  version: RoomVersion,
  fields: TestEvent,
  { events, state, count }: { events: ReadonlyMap<EventId, Event>; state: StateMap; count: number },
): Event {
  // IDs in another order than time.
  const eventId = `$${String((count * 619) % 1009).padStart(4, '0')}`
  const isCreate = fields.type === 'm.room.create'
  const roomId = version.roomIdIsCreateHash ? '!0000' : '!room:a'
  const draft = testEvent({
    ...fields,
    event_id: eventId,
    room_id: isCreate && version.roomIdIsCreateHash ? null : roomId,
  })
  const ids = authEventKeys(version, draft.pdu).map(({ type, state_key: key }) => state.get(stateKeyId(type, key)))
  const depth = 1 + Math.max(0, ...draft.prev_event_ids.map((id) => events.get(id)!.pdu.depth))
  return testEvent({
    ...fields,
    event_id: eventId,
    room_id: isCreate && version.roomIdIsCreateHash ? null : roomId,
    auth_events: ids.filter((id) => id !== undefined),
    depth,
  })
}
