import type { EventId } from '../ids.ts'
import type { StateKey } from '../pdu.ts'

/** The state of a room: event ids by key, see `stateKeyId`. */
export type StateMap = ReadonlyMap<string, EventId>

/** Encodes a type and state key as one string. Types that contain NUL would be ambiguous, but cannot be stored. */
export function stateKeyId(type: string, stateKey: string): string {
  return `${type}\u0000${stateKey}`
}

/** Decodes a `stateKeyId`. */
export function parseStateKeyId(id: string): StateKey {
  const end = id.indexOf('\u0000')
  return { type: id.slice(0, end), state_key: id.slice(end + 1) }
}
