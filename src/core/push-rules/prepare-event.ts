import { valueAt } from '../json/property-path.ts'
import type { JsonObject } from '../pdu.ts'

/** The fields of an event that push rules read. */
export type PushEvent = {
  event_id: string
  room_id: string
  type: string
  sender: string
  state_key?: string
  redacts?: string
  content: JsonObject
}

/** An event and its room, prepared once for all users of the room. */
export type PreparedEvent = {
  readonly event: PushEvent
  /** Joined members of the room. */
  readonly memberCount: number
  readonly senderPowerLevel: number
  /** The power level that a notification key such as `room` requires; the default if the power levels do not set it. */
  readonly notificationLevel: (key: string) => number
  /** The subscribers of the event's thread; absent if it is in no thread. */
  readonly threadSubscribers?: ReadonlySet<string> | undefined
  /** By path; filled on demand. */
  readonly properties: Map<string, Property>
}

/** A property of the event, with forms for comparison that are computed on first use. */
type Property = { readonly value: unknown; lowered?: string; members?: ReadonlySet<unknown> }

/**
 * Prepares the parts that do not depend on the user, so that each further user costs little. Pure; the result lives as
 * long as the event's evaluation.
 */
export function prepareEvent(input: Omit<PreparedEvent, 'properties'>): PreparedEvent {
  return { ...input, properties: new Map() }
}

/** A parsed path of a condition: `key` identifies it. */
export type PropertyPath = { readonly key: string; readonly names: readonly string[] }

/** Returns the value at a path, or undefined. */
export function propertyValue(prepared: PreparedEvent, path: PropertyPath): unknown {
  return property(prepared, path).value
}

/** Returns the string at a path in lower case, or undefined if there is none. */
export function loweredString(prepared: PreparedEvent, path: PropertyPath): string | undefined {
  const found = property(prepared, path)
  if (typeof found.value !== 'string') return undefined
  found.lowered ??= found.value.toLowerCase()
  return found.lowered
}

/** Returns the members of the array at a path; an empty set if there is none. */
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
  // The paths come from the rules of all evaluated users.
  if (prepared.properties.size < MAX_PROPERTIES) prepared.properties.set(path.key, found)
  return found
}
