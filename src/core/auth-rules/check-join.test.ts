import { describe, expect, test } from 'vitest'
import type { TestEvent } from '../../testing/auth-rules/test-event.ts'
import { member, type TestRoom, verdictOf } from '../../testing/auth-rules/test-room.ts'

/** The numbers of the join rule by version, and the number of its last part. */
const VERSIONS: [version: string, rule: string, last: string][] = [
  ['1', '5.2', '5.2.6'],
  ['6', '4.2', '4.2.6'],
  ['7', '4.2', '4.2.6'],
  ['8', '4.3', '4.3.7'],
  ['11', '4.3', '4.3.7'],
  ['12', '5.3', '5.3.7'],
]
const join = member('@bob:b', 'join')

describe.each(VERSIONS)('version %s', (version, rule, last) => {
  test('the creator joins first', () => {
    const first = (changes: Partial<TestEvent>) =>
      verdictOf(version, { members: { '@alice:a': 'leave' } }, { ...member('@alice:a', 'join'), ...changes })
    expect(first({ prev_events: ['$create:a'] })).toBe('ok')
    expect(first({ prev_events: ['$create:a', '$other'] })).toBe(last)
    expect(first({ prev_events: ['$other'] })).toBe(last)
    expect(first({ prev_events: [] })).toBe(last)
    expect(verdictOf(version, {}, { ...join, prev_events: ['$create:a'] })).toBe(last)
  })

  test('a user cannot join for another', () => {
    const room = { join_rule: 'public', members: { '@bob:b': 'invite' } }
    expect(verdictOf(version, room, member('@alice:a', 'join', '@bob:b'))).toBe(`${rule}.2`)
  })

  test.each(['public', 'invite', 'knock', 'restricted'])('the banned never join a room that is %s', (joinRule) => {
    expect(verdictOf(version, { join_rule: joinRule, members: { '@bob:b': 'ban' } }, join)).toBe(`${rule}.3`)
  })

  test.each([
    ['public', undefined, 'ok'],
    ['public', 'leave', 'ok'],
    ['invite', undefined, last],
    ['invite', 'leave', last],
    ['invite', 'knock', last],
    ['invite', 'invite', 'ok'],
    ['invite', 'join', 'ok'],
    ['private', 'invite', last],
    ['nonsense', 'invite', last],
    [undefined, 'invite', 'ok'],
    [undefined, undefined, last],
  ])('join rule %s, membership %s', (joinRule, membership, verdict) => {
    const room: TestRoom = {
      ...(joinRule === undefined ? {} : { join_rule: joinRule }),
      members: membership === undefined ? {} : { '@bob:b': membership },
    }
    expect(verdictOf(version, room, join)).toBe(verdict)
  })

  test('join rule knock is one since version 7', () => {
    const verdict = Number(version) < 7 ? last : 'ok'
    expect(verdictOf(version, { join_rule: 'knock', members: { '@bob:b': 'invite' } }, join)).toBe(verdict)
    expect(verdictOf(version, { join_rule: 'knock' }, join)).toBe(last)
  })
})

test('in versions up to 10 the creator is the one whom content names', () => {
  const room = { create: { creator: '@bob:b' } }
  const first = { ...join, prev_events: ['$create:a'] }
  expect(['1', '10', '11', '12'].map((version) => verdictOf(version, room, first))).toEqual([
    'ok',
    'ok',
    '4.3.7',
    '5.3.7',
  ])
})

test('an additional creator of version 12 may not join first', () => {
  const room = { create: { additional_creators: ['@bob:b'] } }
  expect(verdictOf('12', room, { ...join, prev_events: ['$create:a'] })).toBe('5.3.7')
})

describe('restricted rooms', () => {
  const vouched = (authoriser: unknown, signatures: string[] = ['a']): TestEvent => ({
    ...member('@bob:b', 'join', '@bob:b', { join_authorised_via_users_server: authoriser as string }),
    signatures: Object.fromEntries(signatures.map((server) => [server, {}])),
  })

  test.each(['1', '7'])('are closed to version %s', (version) => {
    const rule = version === '1' ? '5.2.6' : '4.2.6'
    expect(verdictOf(version, { join_rule: 'restricted', members: { '@bob:b': 'invite' } }, join)).toBe(rule)
    expect(verdictOf(version, { join_rule: 'public' }, vouched('@alice:a', []))).toBe('ok')
  })

  test.each([
    ['8', '4.3.5.2', '4.2.1'],
    ['10', '4.3.5.2', '4.2.1'],
    ['12', '5.3.5.2', '5.2.1'],
  ])('version %s, rules %s and %s', (version, rule, signatureRule) => {
    const room: TestRoom = { join_rule: 'restricted', members: { '@gone:a': 'leave', '@guest:a': 'join' } }
    const picky = { ...room, power_levels: { invite: 10, users: version === '12' ? {} : { '@alice:a': 100 } } }
    expect(verdictOf(version, room, vouched('@alice:a'))).toBe('ok')
    expect(verdictOf(version, room, vouched('@guest:a'))).toBe('ok')
    expect(verdictOf(version, picky, vouched('@alice:a'))).toBe('ok')
    expect(verdictOf(version, picky, vouched('@guest:a'))).toBe(rule)
    expect(verdictOf(version, room, vouched('@gone:a'))).toBe(rule)
    expect(verdictOf(version, room, vouched('@unheard:a'))).toBe(rule)
    expect(verdictOf(version, room, join)).toBe(rule)
    expect(verdictOf(version, room, vouched('@alice:a', ['b']))).toBe(signatureRule)
    for (const bad of [null, 1, {}, 'alice', '@alice', ''])
      expect(verdictOf(version, room, vouched(bad))).toBe(signatureRule)
    // For any membership and join rule, the server has to have signed.
    expect(verdictOf(version, { join_rule: 'public' }, vouched('@alice:a', ['constructor']))).toBe(signatureRule)
    for (const membership of ['invite', 'join']) {
      expect(verdictOf(version, { ...room, members: { '@bob:b': membership } }, join)).toBe('ok')
    }
  })

  test('knock_restricted is one since version 10', () => {
    const room = { join_rule: 'knock_restricted' }
    const verdicts = ['7', '8', '9', '10', '11', '12'].map((version) => verdictOf(version, room, vouched('@alice:a')))
    expect(verdicts).toEqual(['4.2.6', '4.3.7', '4.3.7', 'ok', 'ok', 'ok'])
  })
})
