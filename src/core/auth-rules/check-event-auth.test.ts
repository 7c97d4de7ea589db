import { describe, expect, test } from 'vitest'
import { testEvent } from '../../testing/auth-rules/test-event.ts'
import { state, type TestRoom, verdictOf, versionOf } from '../../testing/auth-rules/test-room.ts'
import { checkEventAuth } from './check-event-auth.ts'

const message = { type: 'm.room.message', sender: '@bob:b' }
const withBob: TestRoom = { members: { '@bob:b': 'join' } }

describe('the room', () => {
  test.each([
    ['1', '2.4'],
    ['6', '2.4'],
    ['11', '2.4'],
    ['12', '2'],
  ])('version %s refuses by rule %s what is in no room', (version, rule) => {
    const verdict = checkEventAuth(versionOf(version), testEvent(message), { get: () => undefined })
    expect(verdict).toMatchObject({ allowed: false, rule })
  })

  test('in version 12 the room id has to be that of an accepted create event', () => {
    expect(verdictOf('12', withBob, message)).toBe('ok')
    expect(verdictOf('12', withBob, { ...message, room_id: '!other' })).toBe('2')
    const rejected = { event_id: '$create:a', room_id: null, type: 'm.room.create', state_key: '', rejected: true }
    expect(verdictOf('12', { ...withBob, others: [rejected] }, message)).toBe('2')
  })

  test.each([
    ['1', '3'],
    ['11', '3'],
    ['12', '4'],
  ])('version %s refuses by rule %s foreigners in a room that does not federate', (version, rule) => {
    const room = { members: { '@bob:b': 'join', '@anna:a': 'join' }, create: { 'm.federate': false } }
    expect(verdictOf(version, room, message)).toBe(rule)
    expect(verdictOf(version, room, { ...message, sender: '@anna:a' })).toBe('ok')
    for (const federate of [true, null, 'false', 0]) {
      expect(verdictOf(version, { ...room, create: { 'm.federate': federate } }, message)).toBe('ok')
    }
  })
})

describe('m.room.aliases', () => {
  const aliases = (stateKey: string) => state('m.room.aliases', stateKey, { aliases: [] }, '@bob:b')

  test.each(['1', '2', '3', '4', '5'])('version %s allows them for the own domain, even to strangers', (version) => {
    expect(verdictOf(version, {}, aliases('b'))).toBe('ok')
    expect(verdictOf(version, {}, aliases('a'))).toBe('4.2')
    expect(verdictOf(version, {}, { type: 'm.room.aliases', sender: '@bob:b' })).toBe('4.1')
  })

  test('since version 6 they are state events like any other', () => {
    expect(verdictOf('6', {}, aliases('b'))).toBe('5')
    expect(verdictOf('6', withBob, aliases('b'))).toBe('7')
    expect(verdictOf('6', withBob, { ...aliases('b'), sender: '@alice:a' })).toBe('ok')
  })
})

describe('senders in the room', () => {
  test.each([
    ['1', '6'],
    ['5', '6'],
    ['6', '5'],
    ['11', '5'],
    ['12', '6'],
  ])('version %s refuses others by rule %s', (version, rule) => {
    for (const membership of ['leave', 'invite', 'ban', 'knock', 'nonsense']) {
      expect(verdictOf(version, { members: { '@bob:b': membership } }, message)).toBe(rule)
    }
    expect(verdictOf(version, {}, message)).toBe(rule)
    expect(verdictOf(version, withBob, message)).toBe('ok')
  })

  test.each([
    ['1', '7.1'],
    ['6', '6.1'],
    ['11', '6.1'],
    ['12', '7.1'],
  ])('version %s refuses by rule %s third-party invites of those who may not invite', (version, rule) => {
    const event = { ...state('m.room.third_party_invite', 'token', {}), sender: '@bob:b' }
    expect(verdictOf(version, { ...withBob, power_levels: { invite: 1 } }, event)).toBe(rule)
    expect(verdictOf(version, { ...withBob, power_levels: { invite: 1, users: { '@bob:b': 1 } } }, event)).toBe('ok')
    // The level for state events does not matter.
    expect(verdictOf(version, withBob, event)).toBe('ok')
  })

  test.each([
    ['1', '8'],
    ['6', '7'],
    ['11', '7'],
    ['12', '8'],
  ])('version %s refuses by rule %s what takes more power', (version, rule) => {
    const topic = state('m.room.topic', '', {}, '@bob:b')
    expect(verdictOf(version, withBob, topic)).toBe(rule)
    expect(verdictOf(version, withBob, { ...topic, sender: '@alice:a' })).toBe('ok')
    const moderated = { ...withBob, power_levels: { events_default: 10, events: { 'm.room.topic': 0 } } }
    expect(verdictOf(version, moderated, message)).toBe(rule)
    expect(verdictOf(version, moderated, topic)).toBe('ok')
    const promoted = { ...moderated, power_levels: { events_default: 10, users: { '@bob:b': 10 } } }
    expect(verdictOf(version, promoted, message)).toBe('ok')
  })

  test.each([
    ['1', '9'],
    ['6', '8'],
    ['11', '8'],
    ['12', '9'],
  ])('version %s refuses by rule %s state for another user', (version, rule) => {
    const room = { ...withBob, power_levels: { state_default: 0 } }
    expect(verdictOf(version, room, state('x', '@alice:a', {}, '@bob:b'))).toBe(rule)
    expect(verdictOf(version, room, state('x', '@bob:b', {}, '@bob:b'))).toBe('ok')
    expect(verdictOf(version, room, state('x', 'alice', {}, '@bob:b'))).toBe('ok')
  })
})

describe('m.room.redaction', () => {
  const redaction = { type: 'm.room.redaction', sender: '@bob:b', event_id: '$redaction:b' }

  test.each(['1', '2'])('version %s asks for power or the own domain', (version) => {
    expect(verdictOf(version, withBob, { ...redaction, redacts: '$message:b' })).toBe('ok')
    expect(verdictOf(version, withBob, { ...redaction, redacts: '$message:a' })).toBe('11.3')
    expect(verdictOf(version, withBob, redaction)).toBe('11.3')
    expect(verdictOf(version, { ...withBob, power_levels: { redact: 0 } }, redaction)).toBe('ok')
  })

  test.each(['3', '11', '12'])('version %s leaves it to whoever applies the redaction', (version) => {
    expect(verdictOf(version, withBob, { ...redaction, redacts: '$message:a' })).toBe('ok')
  })
})

describe('state that belongs to somebody (MSC3757)', () => {
  const room: TestRoom = {
    members: { '@bob:b': 'join', '@carol:b': 'join' },
    power_levels: { users: { '@alice:a': 100 }, events: { seat: 0 } },
  }
  const judge = (sender: string, stateKey: string, version = 'org.matrix.msc3757.11') =>
    verdictOf(version, room, state('seat', stateKey, {}, sender))

  test.each([
    ['its owner', '@bob:b', '@bob:b_DEVICE_m.call', 'ok'],
    ['with a port', '@bob:b', '@bob:b:8448_x', '8'],
    ['somebody with more power', '@alice:a', '@bob:b_x', 'ok'],
    ['somebody with as much power', '@carol:b', '@bob:b_x', '8'],
    ['without an underscore', '@bob:b', '@bob:bx', '8'],
    ['what is no user id', '@alice:a', '@bob', '8.1'],
  ])('is set by %s', (_who, sender, stateKey, verdict) => {
    expect(judge(sender, stateKey)).toBe(verdict)
  })

  test('other room versions have none', () => {
    expect([judge('@bob:b', '@bob:b_x', '11'), judge('@alice:a', '@bob:b_x', '11')]).toEqual(['8', '8'])
  })
})
