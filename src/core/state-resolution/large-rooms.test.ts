import { describe, expect, test } from 'vitest'
import type { TestEvent } from '../../testing/auth-rules/test-event.ts'
import { versionOf } from '../../testing/auth-rules/test-room.ts'
import { addTo, type LargeRoom, largeRoom } from '../../testing/state-resolution/test-large-room.ts'
import type { EventId } from '../ids.ts'
import type { RoomVersion } from '../room-versions.ts'
import { resolveState } from './resolve-state.ts'
import { type StateMap, stateKeyId } from './state-map.ts'

const LAST = '$levels-4999'

/** The state of a room, and its state after more events, each given with its auth events. */
function fork(version: RoomVersion, room: LargeRoom, events: [TestEvent, string[]][]): [StateMap, StateMap] {
  const branch = { events: room.events, state: new Map(room.state) }
  for (const [fields, cited] of events) addTo(version, branch, fields, cited)
  return [room.state, branch.state]
}

/** Resolves with whole auth chains loaded, as a server does in one query; counts queries and events. */
function resolve(version: RoomVersion, sets: StateMap[], { events }: LargeRoom) {
  const loaded = new Set<EventId>()
  for (let queries = 0; ; queries++) {
    const resolution = resolveState(version, sets, (id) => (loaded.has(id) ? events.get(id) : undefined))
    if ('state' in resolution) return { state: resolution.state, queries, loaded }
    const stack = [...resolution.missing]
    for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
      if (loaded.has(id)) continue
      loaded.add(id)
      stack.push(...events.get(id)!.auth_event_ids)
    }
  }
}

describe.each(['2', '11', '12'])('30,000 members and 5,000 changes of power levels in version %s', (id) => {
  const version = versionOf(id)
  const room = largeRoom(version, { members: 30_000, levelChanges: 5_000 })
  const topic: TestEvent = { event_id: '$topic', type: 'm.room.topic', content: { topic: 'Hello' } }

  test('a topic takes one query, and no member', () => {
    const { state, queries, loaded } = resolve(version, fork(version, room, [[topic, ['$alice', LAST]]]), room)
    expect(state.get(stateKeyId('m.room.topic', ''))).toBe('$topic')
    expect(state.size).toBe(room.state.size + 1)
    expect(queries).toBeLessThanOrEqual(2)
    expect([...loaded].filter((eventId) => eventId.startsWith('$join-'))).toEqual([])
  })

  test('power levels of which one side is far behind', () => {
    const behind = new Map(room.state).set(stateKeyId('m.room.power_levels', ''), '$levels-100' as EventId)
    const { state } = resolve(version, [behind, room.state], room)
    expect(state.get(stateKeyId('m.room.power_levels', ''))).toBe(LAST)
  })

  test('power levels in between, which members build on, are replayed by version 12 alone', () => {
    const branch = { events: room.events, state: new Map(room.state) }
    const levels = (eventId: string, sender: string): TestEvent => {
      const users = { ...(version.privilegedCreators ? {} : { '@alice:a': 100 }), '@bob:b': 100 }
      return { event_id: eventId, type: 'm.room.power_levels', sender, content: { users, ban: eventId.length } }
    }
    const join = (name: string): TestEvent => ({
      ...{ event_id: `$${name}`, type: 'm.room.member', sender: `@${name}:b`, state_key: `@${name}:b` },
      content: { membership: 'join' },
    })
    addTo(version, branch, join('bob'), ['$rules', LAST])
    addTo(version, branch, levels('$bobs-0', '@alice:a'), ['$alice', LAST])
    for (let i = 1; i < 10; i++) addTo(version, branch, levels(`$bobs-${i}`, '@bob:b'), ['$bob', `$bobs-${i - 1}`])
    addTo(version, branch, join('late'), ['$rules', '$bobs-9'])
    const behind = new Map(branch.state).set(stateKeyId('m.room.power_levels', ''), LAST as EventId)
    const { state } = resolve(version, [behind, branch.state], room)
    expect(state.get(stateKeyId('m.room.power_levels', ''))).toBe(version.id === '12' ? '$bobs-9' : LAST)
  })

  test('events of one side alone are looked for among all members in few queries', () => {
    const levels = (eventId: string): TestEvent => ({
      event_id: eventId,
      type: 'm.room.power_levels',
      content: { users: {} },
    })
    const changes: [TestEvent, string[]][] = [
      [levels('$more-0'), ['$alice', LAST]],
      [levels('$more-1'), ['$alice', '$more-0']],
    ]
    const { state, queries } = resolve(version, fork(version, room, changes), room)
    const expected = version.privilegedCreators ? '$more-1' : '$more-0'
    expect(state.get(stateKeyId('m.room.power_levels', ''))).toBe(expected)
    expect(queries).toBeLessThan(8)
  })
})
