import type { EventId } from '../ids.ts'
import type { StateKey } from '../pdu.ts'

/** The state of a room: the event for each key, which `stateKeyId` makes. */
export type StateMap = ReadonlyMap<string, EventId>

/** A type and state key as one string. Types with a NUL in them would be ambiguous; they cannot be stored anyway. */
export function stateKeyId(type: string, stateKey: string): string {
  return `${type}\u0000${stateKey}`
}

/** The type and state key of a `stateKeyId`. */
export function parseStateKeyId(id: string): StateKey {
  const end = id.indexOf('\u0000')
  return { type: id.slice(0, end), state_key: id.slice(end + 1) }
}
