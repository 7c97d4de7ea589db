import type { EventId } from '../ids.ts'
import type { Event } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import { powerLevels } from '../rooms/power-levels.ts'
import { authEventOf, createOf } from './auth-event-of.ts'
import type { EventLookup } from './event-lookup.ts'
import { compareByTime } from './event-order.ts'
import { priorityQueue } from './priority-queue.ts'

/** An event, its sender's power, and the number of its auth events that are not sorted yet. */
type Vertex = { event: Event; power: number; pending: number }

/**
 * The reverse topological power ordering: each event follows its `auth_events`; among the candidates, the sender with
 * the most power comes first, then the oldest event. https://spec.matrix.org/v1.19/rooms/v2/#definitions
 */
export function powerSort(version: RoomVersion, events: readonly Event[], lookup: EventLookup): Event[] {
  const vertices = new Map<EventId, Vertex>()
  for (const event of events) {
    vertices.set(event.event_id, { event, power: senderPower(version, event, lookup), pending: 0 })
  }
  const citing = connect(vertices)
  const next = priorityQueue(compareVertices)
  for (const vertex of vertices.values()) if (vertex.pending === 0) next.push(vertex)
  const sorted: Event[] = []
  for (let vertex = next.pop(); vertex !== undefined; vertex = next.pop()) {
    sorted.push(vertex.event)
    for (const freed of citing.get(vertex.event.event_id) ?? []) if (--freed.pending === 0) next.push(freed)
  }
  return sorted
}

/** Counts each event's auth events among the vertices, and returns for each vertex the events that depend on it. */
function connect(vertices: ReadonlyMap<EventId, Vertex>): Map<EventId, Vertex[]> {
  const citing = new Map<EventId, Vertex[]>([...vertices.keys()].map((id) => [id, []]))
  for (const vertex of vertices.values()) {
    for (const authId of new Set(vertex.event.auth_event_ids)) {
      const waiting = citing.get(authId)
      if (waiting === undefined) continue
      waiting.push(vertex)
      vertex.pending++
    }
  }
  return citing
}

function compareVertices(a: Vertex, b: Vertex): number {
  // Two creators of version 12 have infinite power; the difference would be NaN.
  if (a.power !== b.power) return b.power > a.power ? 1 : -1
  return compareByTime(a.event, b.event)
}

/** Returns the sender's power according to the event's own `auth_events`. */
function senderPower(version: RoomVersion, event: Event, lookup: EventLookup): number {
  const create = createOf(version, event, lookup)
  if (create === undefined) return 0
  return powerLevels(version, create, authEventOf(event, 'm.room.power_levels', '', lookup)).of(event.pdu.sender)
}
