import { describe, expect, test } from 'vitest'
import { testEvent } from '../../testing/auth-rules/test-event.ts'
import { roomState, type TestRoom, versionOf } from '../../testing/auth-rules/test-room.ts'
import type { JsonObject } from '../pdu.ts'
import { creatorsOf, powerLevels } from './power-levels.ts'

function levelsOf(versionId: string, content: JsonObject | undefined, create: JsonObject = {}) {
  const version = versionOf(versionId)
  const room: TestRoom = { create, ...(content === undefined ? {} : { power_levels: content }) }
  const { get } = roomState(version, room)
  return powerLevels(version, get('m.room.create', '')!, get('m.room.power_levels', ''))
}

describe('defaults', () => {
  test.each([
    ['1', undefined],
    ['1', {}],
    ['11', undefined],
    ['11', {}],
    ['12', undefined],
    ['12', {}],
  ])('version %s with %j', (version, content) => {
    const levels = levelsOf(version, content)
    expect(levels).toMatchObject({ users_default: 0, ban: 50, kick: 50, invite: 0, redact: 50 })
    expect(levels.of('@bob:b')).toBe(0)
    expect(levels.required('m.room.topic', true)).toBe(50)
    expect(levels.required('m.room.message', false)).toBe(0)
    expect(levels.notification('room')).toBe(50)
    expect(levels.notification('other')).toBe(50)
  })

  test('the creator has 100 until there are power levels, and infinite power since version 12', () => {
    const power = (version: string, content?: JsonObject) => levelsOf(version, content).of('@alice:a')
    expect(['1', '10', '11', '12'].map((version) => power(version))).toEqual([100, 100, 100, Infinity])
    expect(['1', '11', '12'].map((version) => power(version, { users_default: 7 }))).toEqual([7, 7, Infinity])
  })

  test('up to version 10 the creator is who content says', () => {
    const create = { creator: '@bob:b' }
    const power = (version: string) => ['@alice:a', '@bob:b'].map(levelsOf(version, undefined, create).of)
    expect(power('10')).toEqual([0, 100])
    expect(power('11')).toEqual([100, 0])
    expect(['@alice:a', '@bob:b'].map(levelsOf('10', undefined, { creator: 7 }).of)).toEqual([0, 0])
  })
})

test('the levels of the event', () => {
  const levels = levelsOf('11', {
    users: { '@bob:b': 20, '@constructor:b': 30 },
    users_default: 5,
    ban: 1,
    kick: 2,
    invite: 3,
    redact: 4,
    events: { 'm.room.message': 6 },
    events_default: 7,
    state_default: 8,
    notifications: { room: 9 },
  })
  expect(levels).toMatchObject({ users_default: 5, ban: 1, kick: 2, invite: 3, redact: 4 })
  expect(['@bob:b', '@eve:b', 'constructor', '__proto__', 'toString'].map(levels.of)).toEqual([20, 5, 5, 5, 5])
  expect(levels.required('m.room.message', false)).toBe(6)
  expect(levels.required('m.room.message', true)).toBe(6)
  expect(levels.required('constructor', false)).toBe(7)
  expect(levels.required('x', true)).toBe(8)
  expect(levels.notification('room')).toBe(9)
  expect(levels.notification('constructor')).toBe(50)
})

describe('an invalid level counts as absent', () => {
  test.each([
    ['1', ' 0042 ', 42],
    ['1', '+42', 42],
    ['1', '-42', -42],
    ['1', 42.9, 42],
    ['1', -42.9, -42],
    ['1', 'x', 50],
    ['1', '4 2', 50],
    ['1', null, 50],
    ['6', '42', 42],
    ['6', 42.9, 50],
    ['9', '42', 42],
    ['10', '42', 50],
    ['10', 42, 42],
    ['12', { a: 1 }, 50],
  ])('version %s, %j', (version, value, level) => {
    expect(levelsOf(version, { ban: value as string }).ban).toBe(level)
    expect(levelsOf(version, { notifications: { room: value as string } }).notification('room')).toBe(level)
  })

  test.each([null, 'x', 7, ['@bob:b']])('users: %j', (users) => {
    expect(levelsOf('11', { users, events: users, notifications: users }).of('@bob:b')).toBe(0)
  })
})

test('creators', () => {
  const create = (content: JsonObject) => testEvent({ type: 'm.room.create', state_key: '', content })
  const additional = create({ creator: '@old:a', additional_creators: ['@bob:b', '@bob:b', '@alice:a', 7] })
  expect(creatorsOf(versionOf('10'), additional)).toEqual(['@old:a'])
  expect(creatorsOf(versionOf('11'), additional)).toEqual(['@alice:a'])
  expect(creatorsOf(versionOf('12'), additional)).toEqual(['@alice:a', '@bob:b'])
  expect(creatorsOf(versionOf('12'), create({ additional_creators: 'x' }))).toEqual(['@alice:a'])
  expect(levelsOf('12', { users_default: 9 }, { additional_creators: ['@bob:b'] }).of('@bob:b')).toBe(Infinity)
})

test('are remembered for each event, but not for another version or room', () => {
  const { get } = roomState(versionOf('9'), { power_levels: { ban: '7' } })
  const create = get('m.room.create', '')!
  const event = get('m.room.power_levels', '')
  const levels = powerLevels(versionOf('9'), create, event)
  expect(powerLevels(versionOf('9'), create, event)).toBe(levels)
  expect(powerLevels(versionOf('10'), create, event).ban).toBe(50)
  const foreign = testEvent({ type: 'm.room.create', state_key: '', sender: '@bob:b' })
  expect(powerLevels(versionOf('12'), create, event).of('@bob:b')).toBe(0)
  expect(powerLevels(versionOf('12'), foreign, event).of('@bob:b')).toBe(Infinity)
})
