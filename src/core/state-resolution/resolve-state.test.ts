import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { testEvent } from '../../testing/auth-rules/test-event.ts'
import { versionOf } from '../../testing/auth-rules/test-room.ts'
import { oracle } from '../../testing/state-resolution/test-oracle.ts'
import { actions, play } from '../../testing/state-resolution/test-random-room.ts'
import type { EventId } from '../ids.ts'
import type { Event } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import { resolveState } from './resolve-state.ts'
import { type StateMap, stateKeyId } from './state-map.ts'

/** Resolves like a server that has loaded nothing; `asked` collects the requested ids. */
function resolve(version: RoomVersion, sets: readonly StateMap[], events: ReadonlyMap<EventId, Event>) {
  const asked = new Set<EventId>()
  for (;;) {
    const resolution = resolveState(version, sets, (id) => (asked.has(id) ? events.get(id) : undefined))
    if ('state' in resolution) return { state: resolution.state, asked }
    expect(resolution.missing.length).toBeGreaterThan(0)
    for (const id of resolution.missing) {
      expect(asked.has(id)).toBe(false)
      expect(events.has(id)).toBe(true)
      asked.add(id)
    }
  }
}

const sorted = (state: StateMap) => [...state].sort()

describe.each(['1', '2', '6', '9', '11', '12'])('version %s', (id) => {
  const version = versionOf(id)

  test('random histories resolve as the specification says, whatever the order of the states', () => {
    fc.assert(
      fc.property(actions, fc.integer({ min: 2, max: 4 }), fc.nat(23), (history, count, permutation) => {
        const room = play(version, history)
        const sets = room.states.slice(-count)
        const expected = sorted(oracle({ version, events: room.events }, sets))
        expect(sorted(resolve(version, sets, room.events).state)).toEqual(expected)
        expect(sorted(resolve(version, permuted(sets, permutation), room.events).state)).toEqual(expected)
      }),
      { numRuns: 150, seed: Number(id) },
    )
  })

  test('one state, or states that agree, resolve to themselves without a look at any event', () => {
    const { states } = play(version, [])
    const state = states.at(-1)!
    const never = () => expect.unreachable()
    expect(resolveState(version, [], never)).toEqual({ state: new Map() })
    expect(resolveState(version, [state], never)).toEqual({ state })
    expect(resolveState(version, [state, new Map(state), new Map([...state].reverse())], never)).toEqual({ state })
  })
})

test('events that cite each other, which servers could make in version 2, come to nothing', () => {
  const version = versionOf('2')
  const { events, states } = play(version, [])
  const levels = (eventId: string, cited: string): [EventId, Event] => {
    const content = { users: { '@alice:a': 100 } }
    const auth = ['$0000', '$0619', cited]
    const fields = { event_id: eventId, type: 'm.room.power_levels', state_key: '', content, auth_events: auth }
    return [eventId as EventId, testEvent(fields)]
  }
  const all = new Map([...events, levels('$one', '$two'), levels('$two', '$one'), levels('$self', '$self')])
  const state = states.at(-1)!
  const sets = ['$one', '$two', '$self'].map((eventId) =>
    new Map(state).set(stateKeyId('m.room.power_levels', ''), eventId as EventId),
  )
  expect(resolve(version, [state, ...sets], all).state).toEqual(state)
})

/** The permutation of the items with this number. */
function permuted<Item>(items: readonly Item[], permutation: number): Item[] {
  const left = [...items]
  const order: Item[] = []
  for (let rest = permutation; left.length > 0; rest = Math.floor(rest / items.length)) {
    order.push(...left.splice(rest % left.length, 1))
  }
  return order
}
