import { createHash } from 'node:crypto'
import { checkEventAuth } from '../../core/auth-rules/check-event-auth.ts'
import type { EventId } from '../../core/ids.ts'
import type { Event } from '../../core/pdu.ts'
import type { RoomVersion } from '../../core/room-versions.ts'
import { powerLevels } from '../../core/rooms/power-levels.ts'
import { parseStateKeyId, type StateMap } from '../../core/state-resolution/state-map.ts'

/** A room with all its events loaded. */
type Room = { version: RoomVersion; events: ReadonlyMap<EventId, Event> }

/**
 * State resolution by the wording of the specification, definition by definition and at any cost. `resolveState` must
 * agree with it.
 * https://spec.matrix.org/v1.19/rooms/v12/#state-resolution and
 * https://spec.matrix.org/v1.19/rooms/v1/#state-resolution
 */
export function oracle(room: Room, sets: readonly StateMap[]): StateMap {
  return room.version.stateResolution === 'v1' ? oracleV1(room, sets) : oracleV2(room, sets)
}

function oracleV2(room: Room, sets: readonly StateMap[]): StateMap {
  const isV21 = room.version.stateResolution === 'v2.1'
  const unconflicted = new Map<string, EventId>()
  const conflicted = new Set<EventId>()
  for (const key of keysOf(sets)) {
    const values = sets.map((set) => set.get(key))
    if (values.every((value) => value === values[0])) unconflicted.set(key, values[0]!)
    else for (const value of values) if (value !== undefined) conflicted.add(value)
  }
  const full = new Set([...conflicted, ...authDifference(room, sets), ...(isV21 ? subgraph(room, conflicted) : [])])
  // 1
  const power = [...full].filter((id) => isPowerEvent(eventOf(room, id)))
  const chosen = new Set(power.flatMap((id) => [id, ...chainWithin(room, id, full)]))
  // 2
  let state = authChecks(room, isV21 ? new Map() : unconflicted, powerOrdering(room, chosen))
  // 3
  const rest = mainlineOrdering(
    room,
    state.get('m.room.power_levels\u0000'),
    [...full].filter((id) => !chosen.has(id)),
  )
  // 4
  state = authChecks(room, state, rest)
  // 5
  return new Map([...state, ...unconflicted])
}

function authChain(room: Room, id: EventId): Set<EventId> {
  const direct = eventOf(room, id).auth_event_ids
  return new Set(direct.flatMap((authId) => [authId, ...authChain(room, authId)]))
}

/** Deviates from the text: only as far as the auth chain stays within the events, as in Synapse and others. */
function chainWithin(room: Room, id: EventId, events: ReadonlySet<EventId>): EventId[] {
  const authEvents = eventOf(room, id).auth_event_ids.filter((authId) => events.has(authId))
  return authEvents.flatMap((authId) => [authId, ...chainWithin(room, authId, events)])
}

/** Deviates from the text: the full auth chain includes the state itself, as in Synapse. */
function authDifference(room: Room, sets: readonly StateMap[]): EventId[] {
  const chains = sets.map((set) => new Set([...set.values()].flatMap((id) => [id, ...authChain(room, id)])))
  const union = new Set(chains.flatMap((chain) => [...chain]))
  return [...union].filter((id) => !chains.every((chain) => chain.has(id)))
}

/** Returns every event on a path from one conflicted event to another. */
function subgraph(room: Room, conflicted: ReadonlySet<EventId>): EventId[] {
  const onPath = (id: EventId, from: EventId, to: EventId) =>
    (id === from || authChain(room, from).has(id)) && (id === to || authChain(room, id).has(to))
  const ends = [...conflicted]
  return [...room.events.keys()].filter((id) => ends.some((from) => ends.some((to) => onPath(id, from, to))))
}

function isPowerEvent({ pdu }: Event): boolean {
  if (['m.room.power_levels', 'm.room.join_rules'].includes(pdu.type)) return true
  if (pdu.type !== 'm.room.member' || pdu.sender === pdu.state_key) return false
  return ['leave', 'ban'].includes(String(pdu.content.membership))
}

/** Kahn's algorithm, checking every vertex at each step. */
function powerOrdering(room: Room, ids: ReadonlySet<EventId>): EventId[] {
  const ordering: EventId[] = []
  const left = new Set(ids)
  while (left.size > 0) {
    const candidates = [...left].filter((id) => !eventOf(room, id).auth_event_ids.some((authId) => left.has(authId)))
    candidates.sort((x, y) => {
      const [powerX, powerY] = [senderPower(room, x), senderPower(room, y)]
      if (powerX !== powerY) return powerX > powerY ? -1 : 1
      return byTimeAndId(room, x, y)
    })
    const smallest = candidates[0]!
    ordering.push(smallest)
    left.delete(smallest)
  }
  return ordering
}

function senderPower(room: Room, id: EventId): number {
  const event = eventOf(room, id)
  const create = createFor(room, event)
  return create === undefined ? 0 : powerLevels(room.version, create, citedLevels(room, id)).of(event.pdu.sender)
}

function mainlineOrdering(room: Room, powerLevelsId: EventId | undefined, ids: readonly EventId[]): EventId[] {
  const mainline: EventId[] = []
  for (let p = powerLevelsId; p !== undefined; p = citedLevels(room, p)?.event_id) mainline.push(p)
  const position = (id: EventId): number => {
    for (let e = citedLevels(room, id); e !== undefined; e = citedLevels(room, e.event_id)) {
      if (mainline.includes(e.event_id)) return mainline.indexOf(e.event_id)
    }
    return Number.POSITIVE_INFINITY
  }
  return [...ids].sort((x, y) => {
    if (position(x) !== position(y)) return position(x) > position(y) ? -1 : 1
    return byTimeAndId(room, x, y)
  })
}

function authChecks(room: Room, initial: StateMap, ids: readonly EventId[]): Map<string, EventId> {
  const state = new Map(initial)
  for (const id of ids) {
    const event = eventOf(room, id)
    const get = (type: string, stateKey: string): Event | undefined => {
      const present = state.get(`${type}\u0000${stateKey}`)
      if (present !== undefined) return eventOf(room, present)
      const authEvent = type === 'm.room.create' ? createFor(room, event) : authEventOf(room, id, type, stateKey)
      return authEvent?.rejected ? undefined : authEvent
    }
    if (checkEventAuth(room.version, event, { get }).allowed) state.set(keyOf(event), id)
  }
  return state
}

function oracleV1(room: Room, sets: readonly StateMap[]): StateMap {
  const state = new Map<string, EventId>()
  const conflicts = new Map<string, EventId[]>()
  for (const key of keysOf(sets)) {
    const values = [...new Set(sets.map((set) => set.get(key)).filter((value) => value !== undefined))]
    if (values.length === 1) state.set(key, values[0]!)
    else
      conflicts.set(
        key,
        values.sort((x, y) => byDepthAndSha1(room, x, y)),
      )
  }
  const allowed = (id: EventId, given: StateMap) => {
    const get = (type: string, stateKey: string) => room.events.get(given.get(`${type}\u0000${stateKey}`)!)
    return checkEventAuth(room.version, eventOf(room, id), { get }).allowed
  }
  const special = ['m.room.power_levels', 'm.room.join_rules', 'm.room.member']
  for (const type of special) {
    const before = new Map(state)
    for (const [key, ids] of conflicts) {
      if (parseStateKeyId(key).type !== type) continue
      state.set(key, ids[0]!)
      for (const id of ids.slice(1)) {
        if (!allowed(id, new Map([...before, [key, state.get(key)!]]))) break
        state.set(key, id)
      }
    }
  }
  for (const [key, ids] of conflicts) {
    if (special.includes(parseStateKeyId(key).type)) continue
    state.set(key, [...ids].reverse().find((id) => allowed(id, state)) ?? ids[0]!)
  }
  return state
}

function byDepthAndSha1(room: Room, x: EventId, y: EventId): number {
  const sha1 = (id: EventId) => createHash('sha1').update(id).digest('hex')
  const difference = eventOf(room, x).pdu.depth - eventOf(room, y).pdu.depth
  if (difference !== 0) return difference
  return sha1(x) > sha1(y) ? -1 : 1
}

function byTimeAndId(room: Room, x: EventId, y: EventId): number {
  const difference = eventOf(room, x).pdu.origin_server_ts - eventOf(room, y).pdu.origin_server_ts
  if (difference !== 0) return difference
  return x < y ? -1 : 1
}

function citedLevels(room: Room, id: EventId): Event | undefined {
  return authEventOf(room, id, 'm.room.power_levels', '')
}

function authEventOf(room: Room, id: EventId, type: string, stateKey: string): Event | undefined {
  const authEvents = eventOf(room, id).auth_event_ids.map((authId) => eventOf(room, authId))
  return authEvents.find(({ pdu }) => pdu.type === type && pdu.state_key === stateKey)
}

function createFor(room: Room, event: Event): Event | undefined {
  if (!room.version.roomIdIsCreateHash) return authEventOf(room, event.event_id, 'm.room.create', '')
  return eventOf(room, `$${event.room_id.slice(1)}` as EventId)
}

function keysOf(sets: readonly StateMap[]): Set<string> {
  return new Set(sets.flatMap((set) => [...set.keys()]))
}

function keyOf({ pdu }: Event): string {
  return `${pdu.type}\u0000${pdu.state_key}`
}

function eventOf(room: Room, id: EventId): Event {
  return room.events.get(id)!
}
