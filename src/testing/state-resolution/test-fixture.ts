import { readdirSync, readFileSync } from 'node:fs'
import type { EventId } from '../../core/ids.ts'
import type { Event } from '../../core/pdu.ts'
import type { RoomVersion } from '../../core/room-versions.ts'
import { type StateMap, stateKeyId } from '../../core/state-resolution/state-map.ts'
import { type TestEvent, testEvent } from '../auth-rules/test-event.ts'

/**
 * A recorded graph: events beside those of `room.json`, some states of that room and, by room version, their
 * resolution. A state lists the events that replace or supplement those of the room, and `-` with an ID for one that it
 * lacks.
 */
export type Fixture = {
  title: string
  events: TestEvent[]
  states: string[][]
  resolved: Record<string, string[]>
}

const FOLDER = new URL('fixtures/', import.meta.url)

/** Every recorded graph. */
export function fixtures(): Fixture[] {
  const files = readdirSync(FOLDER).filter((file) => file !== 'room.json')
  return files.map((file) => readJson(file) as Fixture)
}

/** Returns the events of a recorded graph in a room version, by ID. */
export function fixtureEvents(version: RoomVersion, fixture: Fixture): Map<EventId, Event> {
  const events = [...roomEvents(), ...fixture.events].map((fields) => {
    const isCreate = fields.type === 'm.room.create'
    const roomId = version.roomIdIsCreateHash ? (isCreate ? null : '!create') : '!room:a'
    const authEvents = (fields.auth_events ?? []).filter((id) => !version.roomIdIsCreateHash || id !== '$create')
    return testEvent({ ...fields, room_id: roomId, auth_events: authEvents })
  })
  return new Map(events.map((event) => [event.event_id, event]))
}

/** Returns a state of a recorded graph. */
export function fixtureState(events: ReadonlyMap<EventId, Event>, changes: readonly string[]): StateMap {
  const state = new Map<string, EventId>()
  const present = [...roomEvents().map(({ event_id: id }) => id!), ...changes.filter((id) => !id.startsWith('-'))]
  for (const id of present) {
    const { event_id: eventId, pdu } = events.get(id as EventId)!
    state.set(stateKeyId(pdu.type, pdu.state_key!), eventId)
  }
  for (const [key, id] of state) if (changes.includes(`-${id}`)) state.delete(key)
  return state
}

function roomEvents(): TestEvent[] {
  return (readJson('room.json') as { events: TestEvent[] }).events
}

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8'))
}
