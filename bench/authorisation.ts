import { checkEventAuth } from '../src/core/auth-rules/check-event-auth.ts'
import type { EventId } from '../src/core/ids.ts'
import { ROOM_VERSIONS } from '../src/core/room-versions.ts'
import { resolveState } from '../src/core/state-resolution/resolve-state.ts'
import { stateKeyId } from '../src/core/state-resolution/state-map.ts'
import { testEvent } from '../src/testing/auth-rules/test-event.ts'
import { addTo, largeRoom } from '../src/testing/state-resolution/test-large-room.ts'

/**
 * Measures the cost of authorization and state resolution in a room of 30,000 members and 1,000 changes of power
 * levels: `node bench/authorisation.ts`. Each send checks a message, so a check has to take a few microseconds.
 */
for (const id of ['2', '11', '12']) {
  const version = ROOM_VERSIONS.get(id)!
  const room = largeRoom(version, { members: 30_000, levelChanges: 1000 })
  const { events, state } = room
  const roomId = version.roomIdIsCreateHash ? '!create' : '!room:a'
  const get = (type: string, key: string) => events.get(state.get(stateKeyId(type, key))!)
  const find = (eventId: EventId) => events.get(eventId)

  const message = testEvent({
    type: 'm.room.message',
    sender: '@user-7:b',
    room_id: roomId,
    content: { body: 'Hello' },
  })
  measure(`version ${id}: check a message`, 200_000, () => checkEventAuth(version, message, { get }))

  const branch = { events, state: new Map(state) }
  addTo(version, branch, { event_id: '$topic', type: 'm.room.topic', content: {} }, ['$alice', '$levels-999'])
  measure(`version ${id}: resolve a topic`, 50, () => resolveState(version, [state, branch.state], find))

  const behind = new Map(state).set(stateKeyId('m.room.power_levels', ''), '$levels-10' as EventId)
  measure(`version ${id}: resolve power levels`, 20, () => resolveState(version, [state, behind], find))
}

/** Prints the mean time of a run in microseconds, after a warm-up of as many. */
function measure(name: string, runs: number, run: () => unknown): void {
  for (let i = 0; i < runs; i++) run()
  const start = performance.now()
  for (let i = 0; i < runs; i++) run()
  console.log(`${name}: ${(((performance.now() - start) * 1000) / runs).toFixed(2)} µs`)
}
