import fc from 'fast-check'
import { toEvent } from '../../src/core/events/to-event.ts'
import type { EventId, RoomId } from '../../src/core/ids.ts'
import type { Event, Pdu } from '../../src/core/pdu.ts'
import type { RoomVersion } from '../../src/core/room-versions.ts'
import type { StateMap } from '../../src/core/state-resolution/state-map.ts'
import { actions, play } from '../../src/testing/state-resolution/test-random-room.ts'

/** A room with many forks: its events, and states that servers may have to resolve. */
export type ForkedRoom = { roomId: RoomId; events: Map<EventId, Event>; states: StateMap[] }

/** Generates random rooms, in the federation format. */
export function randomRooms(version: RoomVersion, { count, seed }: { count: number; seed: number }): ForkedRoom[] {
  return fc.sample(actions, { numRuns: count, seed }).map((history) => {
    // Rejected events are in no state.
    const { events, states } = play(
      version,
      history.map((action) => ({ ...action, isRejected: false })),
    )
    return withRealIds(version, events, states)
  })
}

/** Replaces event IDs by hashes, in the versions that have these. */
function withRealIds(version: RoomVersion, events: ReadonlyMap<EventId, Event>, states: StateMap[]): ForkedRoom {
  const ids = new Map<EventId, EventId>()
  const made = new Map<EventId, Event>()
  let roomId = '!room:a' as RoomId
  const real = (wanted: readonly EventId[]) => wanted.flatMap((id) => ids.get(id) ?? [])
  for (const [id, { pdu, auth_event_ids, prev_event_ids }] of events) {
    const isCreate = pdu.type === 'm.room.create'
    const cited = { auth_events: real(auth_event_ids), prev_events: real(prev_event_ids) }
    const event = toWire(version, { ...pdu, ...cited, room_id: roomId, hashes: { sha256: id } }, { id, isCreate })
    if (version.roomIdIsCreateHash && isCreate) roomId = event.room_id
    ids.set(id, event.event_id)
    made.set(event.event_id, event)
  }
  const renamed = states.map((state) => new Map([...state].map(([key, id]) => [key, ids.get(id)!])))
  return { roomId, events: made, states: renamed }
}

function toWire(version: RoomVersion, pdu: Pdu, { id, isCreate }: { id: EventId; isCreate: boolean }): Event {
  const content = isCreate ? { ...pdu.content, room_version: version.id } : pdu.content
  if (version.id !== '1' && version.id !== '2') {
    const { room_id, ...rest } = pdu
    return toEvent(version, { ...rest, content, ...(!(isCreate && version.roomIdIsCreateHash) && { room_id }) } as Pdu)
  }
  const hashed = (cited: unknown) => (cited as EventId[]).map((each) => [each, { sha256: '' }])
  const references = { auth_events: hashed(pdu.auth_events), prev_events: hashed(pdu.prev_events) }
  const event_id = `${id}:a` as EventId
  return toEvent(version, { ...pdu, ...references, content, event_id } as unknown as Pdu, { event_id })
}
