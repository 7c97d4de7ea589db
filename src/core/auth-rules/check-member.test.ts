import { describe, expect, test } from 'vitest'
import { member, type TestRoom, verdictOf } from '../../testing/auth-rules/test-room.ts'

/** The number of the membership rule, and the number of its first part minus one. */
const VERSIONS: [version: string, rule: string, offset: number][] = [
  ['1', '5', 0],
  ['5', '5', 0],
  ['6', '4', 0],
  ['7', '4', 0],
  ['8', '4', 1],
  ['11', '4', 1],
  ['12', '5', 1],
]
const moderated: TestRoom = {
  power_levels: { users: { '@mod:a': 50, '@peer:a': 50, '@boss:a': 60 } },
  members: { '@mod:a': 'join', '@peer:a': 'join', '@boss:a': 'join', '@bob:b': 'join', '@banned:b': 'ban' },
}

describe.each(VERSIONS)('version %s', (version, rule, offset) => {
  test('needs a state key and a membership', () => {
    expect(verdictOf(version, {}, { type: 'm.room.member', content: { membership: 'join' } })).toBe(`${rule}.1`)
    for (const content of [{}, { membership: null }, { membership: 1 }, { membership: ['join'] }]) {
      expect(verdictOf(version, {}, { type: 'm.room.member', state_key: '@alice:a', content })).toBe(`${rule}.1`)
    }
  })

  test('knows no other membership', () => {
    const last = Number(version) < 7 ? 6 : 7 + offset
    for (const membership of ['', 'Join', 'toString', 'constructor']) {
      expect(verdictOf(version, {}, member('@alice:a', membership))).toBe(`${rule}.${last}`)
    }
  })

  test('leaving takes being there', () => {
    for (const [membership, verdict] of [
      ['join', 'ok'],
      ['invite', 'ok'],
      ['knock', Number(version) < 7 ? `${rule}.${4 + offset}.1` : 'ok'],
      ['leave', `${rule}.${4 + offset}.1`],
      ['ban', `${rule}.${4 + offset}.1`],
    ] as const) {
      expect(verdictOf(version, { members: { '@bob:b': membership } }, member('@bob:b', 'leave'))).toBe(verdict)
    }
    expect(verdictOf(version, {}, member('@bob:b', 'leave'))).toBe(`${rule}.${4 + offset}.1`)
  })

  test('kicking takes more power than its victim and the kick level', () => {
    const kick = (sender: string, target: string) => verdictOf(version, moderated, member(sender, 'leave', target))
    expect(kick('@mod:a', '@bob:b')).toBe('ok')
    expect(kick('@mod:a', '@unheard:b')).toBe('ok')
    expect(kick('@mod:a', '@banned:b')).toBe('ok')
    expect(kick('@boss:a', '@mod:a')).toBe('ok')
    expect(kick('@mod:a', '@peer:a')).toBe(`${rule}.${4 + offset}.5`)
    expect(kick('@mod:a', '@boss:a')).toBe(`${rule}.${4 + offset}.5`)
    expect(kick('@bob:b', '@banned:b')).toBe(`${rule}.${4 + offset}.3`)
    expect(kick('@bob:b', '@unheard:b')).toBe(`${rule}.${4 + offset}.5`)
    expect(kick('@stranger:b', '@bob:b')).toBe(`${rule}.${4 + offset}.2`)
  })

  test('unbanning takes the ban level too', () => {
    const room = { ...moderated, power_levels: { ...moderated.power_levels, ban: 55 } }
    expect(verdictOf(version, room, member('@mod:a', 'leave', '@banned:b'))).toBe(`${rule}.${4 + offset}.3`)
    expect(verdictOf(version, room, member('@boss:a', 'leave', '@banned:b'))).toBe('ok')
    expect(verdictOf(version, room, member('@mod:a', 'leave', '@bob:b'))).toBe('ok')
  })

  test('banning takes more power than its victim and the ban level', () => {
    const ban = (sender: string, target: string) => verdictOf(version, moderated, member(sender, 'ban', target))
    expect(ban('@mod:a', '@bob:b')).toBe('ok')
    expect(ban('@mod:a', '@banned:b')).toBe('ok')
    expect(ban('@mod:a', '@unheard:b')).toBe('ok')
    expect(ban('@mod:a', '@peer:a')).toBe(`${rule}.${5 + offset}.3`)
    expect(ban('@mod:a', '@mod:a')).toBe(`${rule}.${5 + offset}.3`)
    expect(ban('@bob:b', '@unheard:b')).toBe(`${rule}.${5 + offset}.3`)
    expect(ban('@stranger:b', '@bob:b')).toBe(`${rule}.${5 + offset}.1`)
  })
})

describe('creators of version 12', () => {
  test('outrank everybody, but not each other', () => {
    const room: TestRoom = {
      create: { additional_creators: ['@bob:b'] },
      power_levels: { users: { '@boss:a': 2 ** 53 - 1 } },
      members: { '@bob:b': 'join', '@boss:a': 'join' },
    }
    expect(verdictOf('12', room, member('@bob:b', 'ban', '@boss:a'))).toBe('ok')
    expect(verdictOf('12', room, member('@bob:b', 'ban', '@alice:a'))).toBe('5.6.3')
    expect(verdictOf('12', room, member('@boss:a', 'ban', '@alice:a'))).toBe('5.6.3')
  })
})

describe('knocks', () => {
  test.each([
    ['1', '5.6'],
    ['6', '4.6'],
  ])('are unknown to version %s', (version, rule) => {
    expect(verdictOf(version, { join_rule: 'knock' }, member('@bob:b', 'knock'))).toBe(rule)
  })

  test.each([
    ['7', '4.6'],
    ['8', '4.7'],
    ['11', '4.7'],
    ['12', '5.7'],
  ])('version %s, rule %s', (version, rule) => {
    const knock = member('@bob:b', 'knock')
    for (const joinRule of ['public', 'invite', 'restricted', 'private', undefined]) {
      const room = joinRule === undefined ? {} : { join_rule: joinRule }
      expect(verdictOf(version, room, knock)).toBe(`${rule}.1`)
    }
    expect(verdictOf(version, { join_rule: 'knock' }, member('@bob:b', 'knock', '@eve:b'))).toBe(`${rule}.2`)
    for (const [membership, verdict] of [
      ['leave', 'ok'],
      ['knock', 'ok'],
      ['ban', `${rule}.4`],
      ['invite', `${rule}.4`],
      ['join', `${rule}.4`],
    ] as const) {
      expect(verdictOf(version, { join_rule: 'knock', members: { '@bob:b': membership } }, knock)).toBe(verdict)
    }
    expect(verdictOf(version, { join_rule: 'knock' }, knock)).toBe('ok')
  })

  test('knock_restricted admits them since version 10', () => {
    const verdicts = ['7', '9', '10', '12'].map((version) =>
      verdictOf(version, { join_rule: 'knock_restricted' }, member('@bob:b', 'knock')),
    )
    expect(verdicts).toEqual(['4.6.1', '4.7.1', 'ok', 'ok'])
  })
})
