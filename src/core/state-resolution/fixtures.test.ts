import { describe, expect, test } from 'vitest'
import { versionOf } from '../../testing/auth-rules/test-room.ts'
import { fixtureEvents, fixtureState, fixtures } from '../../testing/state-resolution/test-fixture.ts'
import { oracle } from '../../testing/state-resolution/test-oracle.ts'
import { resolveState } from './resolve-state.ts'

describe.each(fixtures())('$title', (fixture) => {
  test.each(Object.keys(fixture.resolved))('in version %s', (id) => {
    const version = versionOf(id)
    const events = fixtureEvents(version, fixture)
    const states = fixture.states.map((changes) => fixtureState(events, changes))
    const expected = [...fixtureState(events, fixture.resolved[id]!).values()].sort()
    for (const order of [states, [...states].reverse(), [...states, ...states]]) {
      const resolution = resolveState(version, order, (eventId) => events.get(eventId))
      expect('state' in resolution && [...resolution.state.values()].sort()).toEqual(expected)
    }
    expect([...oracle({ version, events }, states).values()].sort()).toEqual(expected)
  })
})
