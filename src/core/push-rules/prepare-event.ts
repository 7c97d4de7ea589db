import { valueAt } from '../json/property-path.ts'
import type { JsonObject } from '../pdu.ts'

/** The parts of an event that push rules look at. */
export type PushEvent = {
  event_id: string
  room_id: string
  type: string
  sender: string
  state_key?: string
  redacts?: string
  content: JsonObject
}

/** An event and its room, read once for all the users whose rules are put to it. */
export type PreparedEvent = {
  readonly event: PushEvent
  /** Joined members of the room. */
  readonly memberCount: number
  readonly senderPowerLevel: number
  /** The power that a notification of that name takes, as `room`; the default where the power levels name none. */
  readonly notificationLevel: (key: string) => number
  /** Who is subscribed to the thread that the event is in; absent: it is in none. */
  readonly threadSubscribers?: ReadonlySet<string> | undefined
  /** By path; filled as conditions ask. */
  readonly properties: Map<string, Property>
}

/** A property of the event, and what comparing it needs, made at first use. */
type Property = { readonly value: unknown; lowered?: string; members?: ReadonlySet<unknown> }

/**
 * Takes what does not depend on the user, so that each further user costs little. Pure; the outcome lives as long as
 * the event's evaluation.
 */
export function prepareEvent(input: Omit<PreparedEvent, 'properties'>): PreparedEvent {
  return { ...input, properties: new Map() }
}

/** A path of a condition, parsed: the key identifies it, the names lead there. */
export type PropertyPath = { readonly key: string; readonly names: readonly string[] }

/** The value there, or undefined. */
export function propertyValue(prepared: PreparedEvent, path: PropertyPath): unknown {
  return property(prepared, path).value
}

/** The string there in lower case, or undefined where there is no string. */
export function loweredString(prepared: PreparedEvent, path: PropertyPath): string | undefined {
  const found = property(prepared, path)
  if (typeof found.value !== 'string') return undefined
  found.lowered ??= found.value.toLowerCase()
  return found.lowered
}

/** The members of the array there; none where there is no array. */
export function arrayMembers(prepared: PreparedEvent, path: PropertyPath): ReadonlySet<unknown> {
  const found = property(prepared, path)
  found.members ??= new Set(Array.isArray(found.value) ? found.value : [])
  return found.members
}

const MAX_PROPERTIES = 256

function property(prepared: PreparedEvent, path: PropertyPath): Property {
  const known = prepared.properties.get(path.key)
  if (known) return known
  const found = { value: valueAt(prepared.event, path.names) }
  // The paths are those of the rules of all users to whom the event is put.
  if (prepared.properties.size < MAX_PROPERTIES) prepared.properties.set(path.key, found)
  return found
}
