import { expect, test } from 'vitest'
import { type TestEvent, testEvent } from '../../testing/auth-rules/test-event.ts'
import { member, roomEvents, roomIdOf, state, versionOf } from '../../testing/auth-rules/test-room.ts'
import { authEventKeys } from './auth-event-keys.ts'
import { checkAuthEvents } from './check-auth-events.ts'

const VERSIONS: [version: string, rule: string][] = [
  ['1', '2'],
  ['6', '2'],
  ['11', '2'],
  ['12', '3'],
]

/**
 * Returns `ok` or the rule that rejects a message of @alice:a with the auth events that `change` derives from the
 * correct ones.
 */
function verdict(versionId: string, change: (right: TestEvent[]) => TestEvent[], event: TestEvent = { type: 'x' }) {
  const version = versionOf(versionId)
  const create = { event_id: '$create:a', type: 'm.room.create', state_key: '' }
  const right = [
    ...(version.roomIdIsCreateHash ? [] : [create]),
    { ...state('m.room.power_levels', '', {}), event_id: '$levels' },
    { ...member('@alice:a', 'join'), event_id: '$alice' },
  ]
  const make = (fields: TestEvent) => testEvent({ room_id: roomIdOf(version), ...fields })
  const result = checkAuthEvents(version, make(event), change(right).map(make))
  return result.allowed ? 'ok' : result.rule
}

test.each(VERSIONS)('version %s, rule %s', (version, rule) => {
  expect(verdict(version, (right) => right)).toBe('ok')
  expect(verdict(version, (right) => right.filter(({ event_id: id }) => id === '$create:a'))).toBe('ok')
  const another = { ...member('@alice:a', 'join'), event_id: '$again' }
  expect(verdict(version, (right) => [...right, another])).toBe(`${rule}.1`)
  expect(verdict(version, (right) => [...right, state('m.room.topic', '', {})])).toBe(`${rule}.2`)
  expect(verdict(version, (right) => [...right, member('@bob:b', 'join')])).toBe(`${rule}.2`)
  expect(verdict(version, (right) => [...right, state('m.room.join_rules', '', {})])).toBe(`${rule}.2`)
  expect(verdict(version, (right) => [...right, { type: 'm.room.member' }])).toBe(`${rule}.2`)
  const rejected = (events: TestEvent[]) => events.map((event) => ({ ...event, rejected: event.event_id === '$alice' }))
  expect(verdict(version, rejected)).toBe(`${rule}.3`)
  const foreign = (events: TestEvent[]) =>
    events.map((event) => (event.event_id === '$alice' ? { ...event, room_id: '!other:a' } : event))
  expect(verdict(version, foreign)).toBe(version === '12' ? '3.4' : '2.5')
})

test('the create event is cited up to version 11 and never since', () => {
  const without = (events: TestEvent[]) => events.filter(({ event_id: id }) => id !== '$create:a')
  expect(['1', '6', '11', '12'].map((version) => verdict(version, without))).toEqual(['2.4', '2.4', '2.4', 'ok'])
  const create = { event_id: '$create:a', room_id: null, type: 'm.room.create', state_key: '' }
  expect(verdict('12', (right) => [...right, create])).toBe('3.2')
})

test('create events are judged by rule 1 alone', () => {
  expect(verdict('11', () => [], { type: 'm.room.create', state_key: '' })).toBe('ok')
})

test('the events that the selection names are right for every kind of member event', () => {
  for (const [versionId] of VERSIONS) {
    const version = versionOf(versionId)
    const token = { third_party_invite: { signed: { token: 'token' } } }
    const changes = [member('@bob:b', 'join'), member('@alice:a', 'invite', '@bob:b', token), member('@bob:b', 'leave')]
    for (const fields of changes) {
      const event = testEvent({ room_id: roomIdOf(version), ...fields })
      const others = [state('m.room.third_party_invite', 'token', {})]
      const all = roomEvents(version, {
        join_rule: 'invite',
        power_levels: {},
        members: { '@bob:b': 'invite' },
        others,
      })
      const keys = authEventKeys(version, event.pdu)
      const cited = all.filter(({ pdu }) =>
        keys.some((key) => key.type === pdu.type && key.state_key === pdu.state_key),
      )
      expect(checkAuthEvents(version, event, cited)).toEqual({ allowed: true })
      expect(checkAuthEvents(version, event, [...all, testEvent(state('m.room.topic', '', {}))]).allowed).toBe(false)
    }
  }
})
