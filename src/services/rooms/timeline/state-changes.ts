import type { StateChange } from '../../../storage/rooms/timeline/locked-room.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'

/** Returns the changes of a state that loses and gains events, one per key. */
export function stateChanges(removed: readonly StoredEvent[], added: readonly StoredEvent[]): StateChange[] {
  const gone = removed.map(({ pdu }) => ({ type: pdu.type, state_key: pdu.state_key!, event: undefined }))
  const come = added.map((event) => ({ type: event.pdu.type, state_key: event.pdu.state_key!, event }))
  return [...new Map([...gone, ...come].map((change) => [`${change.type}\0${change.state_key}`, change])).values()]
}
