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
 * Rejected: as if it had never been sent. Soft-failed: good for its place in the graph, but against what the room has
 * become.
 */
export type RemoteVerdict = { outcome: 'accepted' } | { outcome: 'rejected' | 'soft-failed'; reason: string }

type RemoteEvent = {
  version: RoomVersion
  event: Event
  authEvents: readonly Event[]
  stateBefore: number
  /** It is judged by its own place only: it is history, or not all of the room's state is known. */
  skipsCurrent: boolean
}

/**
 * What the authorisation rules say of an event of another server, in the specification's order: by its auth events, by
 * the state before it, by the current state.
 * https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu
 */
export async function judgeRemoteEvent(room: LockedRoom, remote: RemoteEvent): Promise<RemoteVerdict> {
  const { version, event, stateBefore, skipsCurrent } = remote
  // 4
  const cited = await citedVerdict(room, remote)
  if (!cited.allowed) return rejected(cited, 'by its auth events')
  // 5
  const before = checkEventAuth(version, event, await stateAt(room, version, event, stateBefore))
  if (!before.allowed) return rejected(before, 'by the state before it')
  // 6
  const current = headOf(room).state_root
  if (skipsCurrent || current === stateBefore || current === 0) return { outcome: 'accepted' }
  const now = checkEventAuth(version, event, await stateAt(room, version, event, current))
  return now.allowed
    ? { outcome: 'accepted' }
    : { outcome: 'soft-failed', reason: `by the current state: ${now.rule} ${now.reason}` }
}

async function citedVerdict(room: LockedRoom, { version, event, authEvents }: RemoteEvent): Promise<AuthVerdict> {
  const citing = checkAuthEvents(version, event, authEvents)
  return citing.allowed ? checkEventAuth(version, event, await stateOfCited(room, event, authEvents)) : citing
}

/** The state that some auth events make up; since room version 12 the room id cites the create event. */
async function stateOfCited(room: LockedRoom, event: Event, authEvents: readonly Event[]): Promise<AuthState> {
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
