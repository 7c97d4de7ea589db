import type { StateChange } from '../../../storage/rooms/timeline/locked-room.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'

/** How a state changes that loses some events and gains others, each piece once. */
export function stateChanges(removed: readonly StoredEvent[], added: readonly StoredEvent[]): StateChange[] {
  const gone = removed.map(({ pdu }) => ({ type: pdu.type, state_key: pdu.state_key!, event: undefined }))
  const come = added.map((event) => ({ type: event.pdu.type, state_key: event.pdu.state_key!, event }))
  return [...new Map([...gone, ...come].map((change) => [`${change.type}\0${change.state_key}`, change])).values()]
}
