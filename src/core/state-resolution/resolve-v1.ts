import { createHash } from 'node:crypto'
import { authEventKeys } from '../auth-rules/auth-event-keys.ts'
import { checkEventAuth } from '../auth-rules/check-event-auth.ts'
import type { EventId } from '../ids.ts'
import type { Event } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import { type EventLookup, findAll } from './event-lookup.ts'
import { partition } from './partition.ts'
import { parseStateKeyId, type StateMap, stateKeyId } from './state-map.ts'

/** The types that authorisation depends on, in the order in which their conflicts are resolved. */
const AUTH_TYPES = ['m.room.power_levels', 'm.room.join_rules', 'm.room.member']

/**
 * State resolution of room version 1: https://spec.matrix.org/v1.19/rooms/v1/#state-resolution
 *
 * The specification describes one list for all members. Like other servers, this uses one list for each member, so that
 * a ban of one does not end the resolution of another, and checks all events of a type against the state before that
 * type. If no event is allowed, the oldest wins, as in other servers. `undefined` if events are missing.
 */
export function resolveV1(
  version: RoomVersion,
  stateSets: readonly StateMap[],
  lookup: EventLookup,
): StateMap | undefined {
  const { unconflicted, conflicts } = partition(stateSets, 'agrees')
  const conflicted = [...conflicts].map(([key, ids]): Conflict => ({ key, events: oldestFirst(findAll(ids, lookup)) }))
  requestState(version, unconflicted, conflicted, lookup)
  if (lookup.missing.size > 0) return undefined
  const state = new Map(unconflicted)
  for (const type of AUTH_TYPES) {
    const ofType = conflicted.filter(({ key }) => parseStateKeyId(key).type === type)
    const winners = ofType.map(({ key, events }) => ({
      key,
      winner: lastAllowedInTurn(version, events, state, lookup),
    }))
    for (const { key, winner } of winners) state.set(key, winner.event_id)
  }
  const others = conflicted.filter(({ key }) => !AUTH_TYPES.includes(parseStateKeyId(key).type))
  for (const { key, events } of others) state.set(key, newestAllowed(version, events, state, lookup).event_id)
  return state
}

/** The events for a key, oldest first; there are at least two. */
type Conflict = { key: string; events: readonly Event[] }

/** Ascending by depth, then descending by SHA-1 of the event id. */
function oldestFirst(events: readonly Event[]): Event[] {
  const keyed = events.map((event) => ({ event, sha1: createHash('sha1').update(event.event_id).digest() }))
  keyed.sort((a, b) => a.event.pdu.depth - b.event.pdu.depth || b.sha1.compare(a.sha1))
  return keyed.map(({ event }) => event)
}

/** Applies the first event and each next one that is allowed, until one is not. */
function lastAllowedInTurn(
  version: RoomVersion,
  [first, ...others]: readonly Event[],
  state: StateMap,
  lookup: EventLookup,
): Event {
  let winner = first!
  const { type, state_key: stateKey = '' } = winner.pdu
  for (const event of others) {
    const own = winner
    const get = (askedType: string, askedKey: string) =>
      askedType === type && askedKey === stateKey ? own : stateOf(state, askedType, askedKey, lookup)
    if (!checkEventAuth(version, event, { get }).allowed) return winner
    winner = event
  }
  return winner
}

function newestAllowed(version: RoomVersion, events: readonly Event[], state: StateMap, lookup: EventLookup): Event {
  const get = (type: string, stateKey: string) => stateOf(state, type, stateKey, lookup)
  return events.findLast((event) => checkEventAuth(version, event, { get }).allowed) ?? events[0]!
}

function stateOf(state: StateMap, type: string, stateKey: string, lookup: EventLookup): Event | undefined {
  const id = state.get(stateKeyId(type, stateKey))
  return id === undefined ? undefined : lookup.find(id)
}

/** Requests all unconflicted state that may authorise the conflicted events. */
function requestState(
  version: RoomVersion,
  state: StateMap,
  conflicts: readonly Conflict[],
  lookup: EventLookup,
): void {
  const keys = conflicts.flatMap(({ events }) => events).flatMap(({ pdu }) => authEventKeys(version, pdu))
  const ids: (EventId | undefined)[] = keys.map(({ type, state_key }) => state.get(stateKeyId(type, state_key)))
  findAll(
    ids.filter((id) => id !== undefined),
    lookup,
  )
}
