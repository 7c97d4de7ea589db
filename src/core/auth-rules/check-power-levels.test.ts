import { describe, expect, test } from 'vitest'
import { state, type TestRoom, verdictOf } from '../../testing/auth-rules/test-room.ts'
import type { Json, JsonObject } from '../pdu.ts'

/** By version: the number of the power level rule, and those of its parts. */
const VERSIONS = [
  { version: '1', rule: '10', users: 1, named: 3, current: 4, next: 5, peers: 6, raised: 7 },
  { version: '5', rule: '10', users: 1, named: 3, current: 4, next: 5, peers: 6, raised: 7 },
  { version: '6', rule: '9', users: 1, named: 3, current: 4, next: 5, peers: 6, raised: 7 },
  { version: '9', rule: '9', users: 1, named: 3, current: 4, next: 5, peers: 6, raised: 7 },
  { version: '10', rule: '9', users: 3, named: 5, current: 6, next: 7, peers: 8, raised: 9 },
  { version: '11', rule: '9', users: 3, named: 5, current: 6, next: 7, peers: 8, raised: 9 },
  { version: '12', rule: '10', users: 3, named: 6, current: 7, next: 8, peers: 9, raised: 10 },
]

/** The verdict on a change by @mod:a, who has power level 50, which is enough to change power levels. */
function change(version: string, current: JsonObject, next: JsonObject): string {
  const users = { '@mod:a': 50, '@peer:a': 50, '@boss:a': 60 }
  const room: TestRoom = { members: { '@mod:a': 'join' }, power_levels: { users, ...current } }
  return verdictOf(version, room, state('m.room.power_levels', '', { users, ...next }, '@mod:a'))
}

/** The verdict on the first power levels of a room. */
function first(version: string, content: JsonObject, create: JsonObject = {}): string {
  return verdictOf(version, { create }, state('m.room.power_levels', '', content))
}

describe.each(VERSIONS)('version $version', ({ version, rule, ...parts }) => {
  const at = (part: keyof typeof parts) => `${rule}.${parts[part]}.1`

  test('users are user ids with levels', () => {
    for (const users of [[], 'x', null, 1, { bob: 1 }, { '@bob': 1 }, { '@bob:b': null }, { '@bob:b': {} }]) {
      expect(first(version, { users: users as Json })).toBe(`${rule}.${parts.users}`)
    }
    expect(first(version, { users: {} })).toBe('ok')
    expect(first(version, { users: { '@bob:b': 7, '@Ödd one:b:8448': -1 } })).toBe('ok')
    expect(first(version, {})).toBe('ok')
  })

  test('the first ones may say anything', () => {
    expect(first(version, { ban: 1000, users: { '@bob:b': 1000 }, events: { x: 1000 } })).toBe('ok')
  })

  test.each(['users_default', 'events_default', 'state_default', 'ban', 'redact', 'kick', 'invite'])(
    '%s can only be moved below the own power',
    (property) => {
      // Levels of this room are below the sender's, whichever level is tested.
      const change1 = (before: JsonObject, after: JsonObject) => change(version, before, after)
      expect(change1({}, { [property]: 50 })).toBe('ok')
      expect(change1({ [property]: 49 }, { [property]: 50 })).toBe('ok')
      expect(change1({ [property]: 40 }, {})).toBe('ok')
      expect(change1({}, { [property]: 51 })).toBe(`${rule}.${parts.named}.2`)
      expect(change1({ [property]: 50 }, { [property]: 51 })).toBe(`${rule}.${parts.named}.2`)
      if (property === 'state_default') return
      expect(change1({ [property]: 51 }, { [property]: 50 })).toBe(`${rule}.${parts.named}.1`)
      expect(change1({ [property]: 51 }, {})).toBe(`${rule}.${parts.named}.1`)
      expect(change1({ [property]: 51 }, { [property]: 51 })).toBe('ok')
    },
  )

  test('the levels of events too', () => {
    const events = (before: JsonObject, after: JsonObject) => change(version, { events: before }, { events: after })
    expect(events({}, { x: 50, y: 50 })).toBe('ok')
    expect(events({ x: 50 }, {})).toBe('ok')
    expect(events({ x: 50 }, { x: 0 })).toBe('ok')
    expect(events({ x: 51 }, { x: 51 })).toBe('ok')
    expect(events({ x: 51 }, { x: 50 })).toBe(at('current'))
    expect(events({ x: 51 }, {})).toBe(at('current'))
    expect(events({}, { x: 51 })).toBe(at('next'))
    expect(events({ x: 0 }, { x: 51 })).toBe(at('next'))
    expect(events({}, JSON.parse('{"__proto__": 51}'))).toBe(at('next'))
    expect(events({}, { toString: 51 })).toBe(at('next'))
  })

  test('the levels of notifications since version 6', () => {
    const notifications = (before: JsonObject, after: JsonObject) =>
      change(version, { notifications: before }, { notifications: after })
    const checked = Number(version) >= 6
    expect(notifications({}, { room: 50 })).toBe('ok')
    expect(notifications({ room: 51 }, { room: 50 })).toBe(checked ? at('current') : 'ok')
    expect(notifications({ room: 51 }, {})).toBe(checked ? at('current') : 'ok')
    expect(notifications({}, { room: 51 })).toBe(checked ? at('next') : 'ok')
  })

  test('users can only be moved below the own power, and only by those above them', () => {
    const users = (after: JsonObject) => change(version, {}, { users: after })
    const current = { '@mod:a': 50, '@peer:a': 50, '@boss:a': 60 }
    expect(users(current)).toBe('ok')
    expect(users({ ...current, '@bob:b': 50 })).toBe('ok')
    expect(users({ ...current, '@bob:b': 51 })).toBe(at('raised'))
    expect(users({ ...current, '@peer:a': 49 })).toBe(at('peers'))
    expect(users({ '@mod:a': 50, '@boss:a': 60 })).toBe(at('peers'))
    expect(users({ ...current, '@boss:a': 50 })).toBe(at('peers'))
    expect(users({ ...current, '@mod:a': 49 })).toBe('ok')
    expect(users({ '@peer:a': 50, '@boss:a': 60 })).toBe('ok')
    expect(users({ ...current, '@mod:a': 51 })).toBe(at('raised'))
  })
})

describe('valid levels', () => {
  test.each(['1', '5', '6', '9'])('strings are, in version %s', (version) => {
    expect(first(version, { users: { '@bob:b': ' +0100 ' }, ban: '50' })).toBe('ok')
    expect(change(version, {}, { kick: '51' })).toMatch(/\.3\.2$/)
    expect(change(version, { kick: 50 }, { kick: '50' })).toBe('ok')
    for (const bad of ['', 'x', '1.5', '1e2', '0x10', '- 1', '1_0', '9'.repeat(400), null, true, [], {}]) {
      expect(first(version, { users: { '@bob:b': bad } })).toMatch(/^(10|9)\.1$/)
      expect(change(version, {}, { kick: bad })).toMatch(/^(10|9)\.3$/)
      expect(change(version, {}, { events: { x: bad } })).toMatch(/^(10|9)\.5$/)
    }
  })

  test.each([
    ['10', '9'],
    ['11', '9'],
    ['12', '10'],
  ])('only integers are, in version %s', (version, rule) => {
    for (const bad of ['50', 1.5, null, true, [], {}, 2 ** 53]) {
      expect(first(version, { kick: bad })).toBe(`${rule}.1`)
      expect(first(version, { events: { x: bad } })).toBe(`${rule}.2`)
      expect(first(version, { notifications: { room: bad } })).toBe(`${rule}.2`)
      expect(first(version, { users: { '@bob:b': bad } })).toBe(`${rule}.3`)
    }
    for (const bad of [null, 1, 'x', []]) {
      expect(first(version, { events: bad })).toBe(`${rule}.2`)
      expect(first(version, { notifications: bad })).toBe(`${rule}.2`)
    }
  })

  test('floats are where canonical JSON is not enforced', () => {
    expect(first('5', { users: { '@bob:b': 50.57 } })).toBe('ok')
    expect(change('5', { kick: 50 }, { kick: 50.9 })).toBe('ok')
    expect(first('5', { users: { '@bob:b': Number.POSITIVE_INFINITY } })).toBe('10.1')
    expect(first('6', { users: { '@bob:b': 50.57 } })).toBe('9.1')
  })
})

describe('creators', () => {
  test('of version 12 are not listed', () => {
    const create = { additional_creators: ['@bob:b'] }
    expect(first('12', { users: { '@alice:a': 100 } })).toBe('10.4')
    expect(first('12', { users: { '@bob:b': 100 } }, create)).toBe('10.4')
    expect(first('12', { users: { '@bob:b': 100 } })).toBe('ok')
    expect(first('11', { users: { '@alice:a': 100, '@bob:b': 100 } }, create)).toBe('ok')
  })

  test('of version 12 may do anything', () => {
    const room = { power_levels: { ban: 1000, users: { '@bob:b': 1000 } } }
    expect(verdictOf('12', room, state('m.room.power_levels', '', { ban: 2000 }))).toBe('ok')
    expect(verdictOf('11', room, state('m.room.power_levels', '', { ban: 2000 }))).toBe('7')
  })
})
