import { authEventKeys } from '../../../core/auth-rules/auth-event-keys.ts'
import { checkAuthEvents } from '../../../core/auth-rules/check-auth-events.ts'
import { type AuthState, type AuthVerdict, checkEventAuth } from '../../../core/auth-rules/check-event-auth.ts'
import { createEventIdOf } from '../../../core/ids.ts'
import type { Event } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import {
  findLockedEvents,
  headOf,
  type LockedRoom,
  readLockedStateAt,
} from '../../../storage/rooms/timeline/locked-room.ts'

/**
 * Rejected: treated as if never sent. Soft-failed: valid at its place in the graph, but not allowed by the current
 * state.
 */
export type RemoteVerdict = { outcome: 'accepted' } | { outcome: 'rejected' | 'soft-failed'; reason: string }

type RemoteEvent = {
  version: RoomVersion
  event: Event
  authEvents: readonly Event[]
  stateBefore: number
  /** Skips the check against the current state: the event is history, or the room has partial state. */
  skipsCurrent: boolean
}

/**
 * Checks the authorization rules for a remote event in the specification's order: against its auth events, the state
 * before it, and the current state.
 * https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu
 */
export async function judgeRemoteEvent(room: LockedRoom, remote: RemoteEvent): Promise<RemoteVerdict> {
  const { version, event, stateBefore, skipsCurrent } = remote
  // Check 4 of the specification.
  const byAuthEvents = await authEventsVerdict(room, remote)
  if (!byAuthEvents.allowed) return rejected(byAuthEvents, 'by its auth events')
  // Check 5 of the specification.
  const before = checkEventAuth(version, event, await stateAt(room, version, event, stateBefore))
  if (!before.allowed) return rejected(before, 'by the state before it')
  // Check 6 of the specification.
  const current = headOf(room).state_root
  if (skipsCurrent || current === stateBefore || current === 0) return { outcome: 'accepted' }
  const now = await verdictNow(room, event)
  return now.allowed
    ? { outcome: 'accepted' }
    : { outcome: 'soft-failed', reason: `by the current state: ${now.rule} ${now.reason}` }
}

/** Returns whether the current state of a room allows an event. */
export async function isAllowedNow(room: LockedRoom, event: Event): Promise<boolean> {
  return (await verdictNow(room, event)).allowed
}

async function verdictNow(room: LockedRoom, event: Event): Promise<AuthVerdict> {
  const { version, state_root } = headOf(room)
  return checkEventAuth(version, event, await stateAt(room, version, event, state_root))
}

async function authEventsVerdict(room: LockedRoom, { version, event, authEvents }: RemoteEvent): Promise<AuthVerdict> {
  const references = checkAuthEvents(version, event, authEvents)
  return references.allowed
    ? checkEventAuth(version, event, await stateOfAuthEvents(room, event, authEvents))
    : references
}

/** Returns the state of some auth events. Since room version 12 the room ID references the create event. */
async function stateOfAuthEvents(room: LockedRoom, event: Event, authEvents: readonly Event[]): Promise<AuthState> {
  const createId = createEventIdOf(event.room_id)
  const create = createId === undefined ? [] : await findLockedEvents(room, [createId])
  return stateBy([...create, ...authEvents])
}

async function stateAt(room: LockedRoom, version: RoomVersion, event: Event, root: number): Promise<AuthState> {
  const keys = [...authEventKeys(version, event.pdu), { type: 'm.room.create', state_key: '' }]
  return stateBy((await readLockedStateAt(room, root, keys)).filter((found) => found !== undefined))
}

function stateBy(events: readonly Event[]): AuthState {
  const byKey = new Map(events.map((event) => [`${event.pdu.type}\0${event.pdu.state_key}`, event]))
  return { get: (type, stateKey) => byKey.get(`${type}\0${stateKey}`) }
}

function rejected({ rule, reason }: { rule: string; reason: string }, by: string): RemoteVerdict {
  return { outcome: 'rejected', reason: `${by}: ${rule} ${reason}` }
}
