import type { App } from '../../../app.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { type LockedRoom, readLockedStateAt } from '../../../storage/rooms/timeline/locked-room.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { changeLockedState } from './change-locked-state.ts'
import { resolveStates } from './resolve-states.ts'

/**
 * Returns the state group before an event in a room with partial state: the known state together with the event's auth
 * events. Unknown members are believed. Where an auth event contradicts the known state, both are resolved, so that
 * bans stay in force.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/3902
 */
export async function stateWithAuthEvents(
  app: Pick<App, 'takeNids'>,
  room: LockedRoom,
  { version, authEvents, root }: { version: RoomVersion; authEvents: readonly StoredEvent[]; root: number },
): Promise<number> {
  const authState = authEvents.filter(({ rejected, pdu }) => !rejected && pdu.state_key !== undefined)
  const known = await readLockedStateAt(room, root, authState.map(keyOf))
  const unknown = authState.filter((event, place) => !known[place] && event.pdu.type === 'm.room.member')
  const base = await changeLockedState(app, room, { root, changes: unknown.map(changeTo) })
  const other = authState.filter((event, place) => known[place] && known[place].event_nid !== event.event_nid)
  if (other.length === 0) return base
  const claimed = await changeLockedState(app, room, { root: base, changes: other.map(changeTo) })
  return resolveStates(app, room, { version, roots: [base, claimed] })
}

function keyOf({ pdu }: StoredEvent) {
  return { type: pdu.type, state_key: pdu.state_key! }
}

function changeTo(event: StoredEvent) {
  return { ...keyOf(event), event_nid: event.event_nid }
}
