import { describe, expect, test } from 'vitest'
import type { TestEvent } from '../../testing/auth-rules/test-event.ts'
import { verdictOf, versionOf } from '../../testing/auth-rules/test-room.ts'
import type { JsonObject } from '../pdu.ts'
import { ROOM_VERSIONS } from '../room-versions.ts'

function create(versionId: string, changes: Partial<TestEvent> = {}, content: JsonObject = {}): TestEvent {
  return {
    type: 'm.room.create',
    state_key: '',
    room_id: versionId === '12' ? null : '!room:a',
    prev_events: [],
    content: { ...(!versionOf(versionId).implicitCreator ? { creator: '@alice:a' } : {}), ...content },
    ...changes,
  }
}

describe('rule 1: m.room.create', () => {
  test.each([...ROOM_VERSIONS.keys()])('version %s allows a plain one, and one of each known version', (version) => {
    expect(verdictOf(version, {}, create(version))).toBe('ok')
    expect(verdictOf(version, {}, create(version, {}, { room_version: version }))).toBe('ok')
  })

  test.each([...ROOM_VERSIONS.keys()])('version %s refuses one with prev_events', (version) => {
    expect(verdictOf(version, {}, create(version, { prev_events: ['$x'] }))).toBe('1.1')
  })

  test.each(['1', '5', '10', '11'])('version %s refuses one in a room of another domain', (version) => {
    expect(verdictOf(version, {}, create(version, { room_id: '!room:b' }))).toBe('1.2')
    expect(verdictOf(version, {}, create(version, { room_id: '!room' }))).toBe('1.2')
  })

  test('version 12 refuses one with a room id', () => {
    expect(verdictOf('12', {}, create('12', { room_id: '!room:a' }))).toBe('1.2')
  })

  test.each(['1', '6', '11', '12'])('version %s refuses one of an unknown version', (version) => {
    for (const unknown of ['13', 'org.example', 1, null, {}, '__proto__']) {
      expect(verdictOf(version, {}, create(version, {}, { room_version: unknown }))).toBe('1.3')
    }
  })

  test('a creator is needed up to version 10', () => {
    const verdicts = [...ROOM_VERSIONS.keys()].map((version) =>
      verdictOf(version, {}, create(version, { content: {} })),
    )
    expect(verdicts).toEqual([...Array(10).fill('1.4'), 'ok', 'ok', '1.4', 'ok'])
  })

  test('additional_creators must be user ids in version 12, and mean nothing before', () => {
    for (const bad of ['@b:b', {}, [1], ['bob'], ['@bob'], [null], null, [`@${'b'.repeat(255)}:b`]]) {
      expect(verdictOf('12', {}, create('12', {}, { additional_creators: bad }))).toBe('1.4')
      expect(verdictOf('11', {}, create('11', {}, { additional_creators: bad }))).toBe('ok')
    }
    expect(verdictOf('12', {}, create('12', {}, { additional_creators: ['@bob:b', '@Old Name:c'] }))).toBe('ok')
    expect(verdictOf('12', {}, create('12', {}, { additional_creators: [] }))).toBe('ok')
  })
})
