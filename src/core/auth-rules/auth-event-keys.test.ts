import { expect, test } from 'vitest'
import { type TestEvent, testEvent } from '../../testing/auth-rules/test-event.ts'
import { member, state, versionOf } from '../../testing/auth-rules/test-room.ts'
import { authEventKeys } from './auth-event-keys.ts'

function keys(version: string, event: TestEvent): string[] {
  return authEventKeys(versionOf(version), testEvent(event).pdu).map(({ type, state_key: key }) =>
    `${type.replace('m.room.', '')} ${key}`.trim(),
  )
}

const vouched = { join_authorised_via_users_server: '@mod:a' }
const thirdParty = { third_party_invite: { signed: { token: 't' } } }

test.each<[TestEvent, string[]]>([
  [{ type: 'm.room.message' }, ['power_levels', 'member @alice:a']],
  [state('m.room.topic', '', {}), ['power_levels', 'member @alice:a']],
  [member('@bob:b', 'join'), ['power_levels', 'member @bob:b', 'join_rules']],
  [member('@bob:b', 'knock'), ['power_levels', 'member @bob:b', 'join_rules']],
  [member('@bob:b', 'leave'), ['power_levels', 'member @bob:b']],
  [member('@alice:a', 'leave', '@bob:b'), ['power_levels', 'member @alice:a', 'member @bob:b']],
  [member('@alice:a', 'ban', '@bob:b', vouched), ['power_levels', 'member @alice:a', 'member @bob:b']],
  [
    member('@alice:a', 'invite', '@bob:b', thirdParty),
    ['power_levels', 'member @alice:a', 'member @bob:b', 'join_rules', 'third_party_invite t'],
  ],
  [member('@bob:b', 'join', '@bob:b', thirdParty), ['power_levels', 'member @bob:b', 'join_rules']],
  [member('@bob:b', 'join', '@bob:b', vouched), ['power_levels', 'member @bob:b', 'join_rules', 'member @mod:a']],
  [member('@mod:a', 'join', '@mod:a', vouched), ['power_levels', 'member @mod:a', 'join_rules']],
])('%j', (event, expected) => {
  expect(keys('11', event)).toEqual(['create', ...expected])
  expect(keys('12', event)).toEqual(expected)
})

test('a create event needs nothing', () => {
  for (const version of ['1', '11', '12']) expect(keys(version, state('m.room.create', '', {}))).toEqual([])
})

test('the authorising user of a join matters since version 8', () => {
  const join = member('@bob:b', 'join', '@bob:b', vouched)
  expect(keys('7', join)).not.toContain('member @mod:a')
  expect(keys('8', join)).toContain('member @mod:a')
})

test.each([null, 1, 'x', [], {}, { signed: null }, { signed: 'x' }, { signed: { token: 1 } }])(
  'a malformed third_party_invite, %j, names none',
  (invite) => {
    const event = member('@alice:a', 'invite', '@bob:b', { third_party_invite: invite as string })
    expect(keys('11', event)).toEqual(['create', 'power_levels', 'member @alice:a', 'member @bob:b', 'join_rules'])
  },
)
