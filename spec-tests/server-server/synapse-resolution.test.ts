import { beforeAll, expect, test } from 'vitest'
import { ROOM_VERSIONS } from '../../src/core/room-versions.ts'
import { resolveState } from '../../src/core/state-resolution/resolve-state.ts'
import { parseStateKeyId, type StateMap } from '../../src/core/state-resolution/state-map.ts'
import { type ForkedRoom, randomRooms } from '../harness/random-rooms.ts'
import { runWithSynapse } from '../harness/synapse.ts'

/** The number of rooms of each version, and the seed. */
const ROOMS = Number(process.env.RESOLUTION_ROOMS ?? 60)
const SEED = Number(process.env.RESOLUTION_SEED ?? 1)

const PATIENCE_MS = 120_000 + ROOMS * 1000
const VERSIONS = ['1', '6', '11', '12']

const rooms = new Map<string, ForkedRoom[]>()
const answers = new Map<string, string[]>()
beforeAll(() => {
  for (const id of VERSIONS) rooms.set(id, randomRooms(ROOM_VERSIONS.get(id)!, { count: ROOMS, seed: SEED }))
  const input = [...rooms].flatMap(([id, some]) => some.map((room) => JSON.stringify(told(id, room))))
  const lines = runWithSynapse('resolve-with-synapse.py', input.join('\n')).trim().split('\n')
  for (const id of VERSIONS) answers.set(id, lines.splice(0, ROOMS))
}, PATIENCE_MS)

/**
 * All servers must agree on a room's state. So states must resolve as in Synapse's own code, in rooms in which users
 * promote, ban, kick and join against each other with wrong clocks.
 */
test.each(VERSIONS)('forks of random rooms of version %s resolve to what Synapse says', (id) => {
  const version = ROOM_VERSIONS.get(id)!
  expect(answers.get(id)).toHaveLength(ROOMS)
  for (const [place, room] of rooms.get(id)!.entries()) {
    const ours = casesOf(room).map((states) => {
      const resolution = resolveState(version, states, (eventId) => room.events.get(eventId))
      return 'state' in resolution && entriesOf(resolution.state).sort()
    })
    const theirs = (JSON.parse(answers.get(id)![place]!) as string[][][]).map((state) => state.sort())
    expect(ours, `room ${place}`).toEqual(theirs)
  }
})

/** Returns groups of two or more differing states. */
function casesOf({ states }: ForkedRoom): StateMap[][] {
  return [2, 3, 4].filter((count) => count <= states.length).map((count) => states.slice(-count))
}

function told(version: string, room: ForkedRoom): object {
  const events = [...room.events.values()].map(({ pdu }) => pdu)
  return { version, room_id: room.roomId, events, cases: casesOf(room).map((states) => states.map(entriesOf)) }
}

function entriesOf(state: StateMap): string[][] {
  return [...state].map(([key, eventId]) => {
    const { type, state_key } = parseStateKeyId(key)
    return [type, state_key, eventId]
  })
}
