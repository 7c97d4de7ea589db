import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type TestEvent, testEvent } from '../../testing/auth-rules/test-event.ts'
import type { JsonObject } from '../pdu.ts'
import { ROOM_VERSIONS } from '../room-versions.ts'
import { authEventKeys } from './auth-event-keys.ts'
import { checkAuthEvents } from './check-auth-events.ts'
import { checkEventAuth } from './check-event-auth.ts'

const version = fc.constantFrom(...ROOM_VERSIONS.values())
const userId = fc.constantFrom('@alice:a', '@bob:b', '@eve:a', '@', '', 'constructor', '@mod:[::1]:80', '@x:bad host')
const value: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  userId,
  fc.constantFrom('join', 'invite', 'leave', 'ban', 'knock', 'public', 'restricted', 'knock_restricted', '50', 100, -1),
  fc.double(),
  fc.dictionary(userId, fc.oneof(fc.integer(), fc.jsonValue({ maxDepth: 1 }))),
  fc.record({
    signed: fc.oneof(fc.jsonValue(), fc.record({ mxid: userId, token: fc.constant('t'), signatures: fc.jsonValue() })),
  }),
)
const key = fc.constantFrom(
  ...['membership', 'join_rule', 'creator', 'additional_creators', 'room_version', 'm.federate', 'third_party_invite'],
  ...['join_authorised_via_users_server', 'users', 'events', 'notifications', 'ban', 'invite', 'users_default'],
  ...['state_default', 'events_default', 'public_key', 'public_keys', '__proto__', 'constructor'],
)
const type = fc.constantFrom(
  ...['m.room.create', 'm.room.member', 'm.room.power_levels', 'm.room.join_rules', 'm.room.third_party_invite'],
  ...['m.room.aliases', 'm.room.redaction', 'm.room.message', '__proto__', ''],
)
const stateKey = fc.oneof(fc.constant(''), userId, fc.constant('t'))
const content = fc.dictionary(key, value, { noNullPrototype: true }) as fc.Arbitrary<JsonObject>
const anyEvent: fc.Arbitrary<TestEvent> = fc.record(
  {
    type,
    state_key: stateKey,
    sender: userId,
    content,
    room_id: fc.constantFrom('!room:a', '!create', '!', '', null),
    event_id: fc.constantFrom('$create', '$x:a', '$', ''),
    prev_events: fc.array(fc.constantFrom('$create', '$x:a'), { maxLength: 2 }),
    redacts: value as fc.Arbitrary<string>,
    signatures: fc.constantFrom({}, { a: {} }, { b: {} }),
    rejected: fc.boolean(),
  },
  { requiredKeys: ['type'] },
)

test('events of any content are allowed or refused by some rule', () => {
  fc.assert(
    fc.property(
      version,
      anyEvent,
      fc.array(anyEvent, { maxLength: 6 }),
      fc.constantFrom('@alice:a', '@bob:b'),
      (v, fields, room, joined) => {
        const event = testEvent({ sender: joined, ...fields })
        const state = new Map<string, ReturnType<typeof testEvent>>()
        const create: TestEvent = { event_id: '$create', type: 'm.room.create', state_key: '', room_id: null }
        const joinedEvent: TestEvent = { type: 'm.room.member', state_key: joined, content: { membership: 'join' } }
        for (const other of [create, joinedEvent, ...room])
          state.set(`${other.type} ${other.state_key}`, testEvent(other))
        const verdict = checkEventAuth(v, event, { get: (t, k) => state.get(`${t} ${k}`) })
        if (!verdict.allowed) expect(verdict.rule).toMatch(/^\d+(\.\d+)*$/)
        const cited = checkAuthEvents(v, event, [...state.values()])
        if (!cited.allowed) expect(cited.rule).toMatch(/^[23]\.\d$/)
        expect(authEventKeys(v, event.pdu).length).toBeLessThan(7)
      },
    ),
    { numRuns: 5000 },
  )
})
