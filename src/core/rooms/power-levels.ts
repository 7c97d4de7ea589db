import type { Event, JsonObject } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'

/** The power levels of a room with all defaults. https://spec.matrix.org/v1.19/client-server-api/#mroompower_levels */
export type PowerLevels = {
  /** The power of a user; `Infinity` for the creators of a room since version 12. */
  of(userId: string): number
  users_default: number
  ban: number
  kick: number
  invite: number
  redact: number
  /** The level required to send an event of a type, as state event or message event. */
  required(type: string, isState: boolean): number
  /** The level required to trigger a notification key such as `room`. */
  notification(key: string): number
}

/** The readable levels that `content` contains. */
export type StatedLevels = {
  named: ReadonlyMap<string, number>
  events: ReadonlyMap<string, number>
  notifications: ReadonlyMap<string, number>
  users: ReadonlyMap<string, number>
  /** The properties of `content` with values that the room version does not accept as levels. */
  malformed: ReadonlySet<string>
}

/** The properties of `m.room.power_levels` with a single level. */
export const NAMED_LEVELS = ['users_default', 'events_default', 'state_default', 'ban', 'redact', 'kick', 'invite']

/**
 * Returns the power levels of an `m.room.power_levels` event, or the defaults of a room without one. Values that are
 * not levels in the room version are ignored. Cached per event, because every message needs them.
 */
export function powerLevels(version: RoomVersion, create: Event, powerLevelsEvent: Event | undefined): PowerLevels {
  const key = powerLevelsEvent ?? create
  const known = remembered.get(key)
  if (known?.version === version && known.create === create) return known.levels
  const creators = new Set(creatorsOf(version, create))
  const levels =
    powerLevelsEvent === undefined
      ? levelsWithoutEvent(version, creators)
      : levelsOf(version, creators, statedLevels(version, powerLevelsEvent))
  remembered.set(key, { version, create, levels })
  return levels
}

/**
 * Returns the creators of a room: `creator` up to version 10, the sender since 11, and `additional_creators` also since
 * 12. https://spec.matrix.org/v1.19/rooms/v12/#event-format
 */
export function creatorsOf(version: RoomVersion, create: Event): string[] {
  const { sender, content } = create.pdu
  if (!version.implicitCreator) return typeof content.creator === 'string' ? [content.creator] : []
  if (!version.privilegedCreators || !Array.isArray(content.additional_creators)) return [sender]
  return [...new Set([sender, ...content.additional_creators.filter((creator) => typeof creator === 'string')])]
}

/** Returns the levels in an `m.room.power_levels` event, parsed as its room version does. Cached per event. */
export function statedLevels(version: RoomVersion, event: Event): StatedLevels {
  const known = stated.get(event)
  if (known?.version === version) return known.levels
  const levels = readLevels(version, event.pdu.content)
  stated.set(event, { version, levels })
  return levels
}

const remembered = new WeakMap<Event, { version: RoomVersion; create: Event; levels: PowerLevels }>()
const stated = new WeakMap<Event, { version: RoomVersion; levels: StatedLevels }>()

const NONE: StatedLevels = {
  named: new Map(),
  events: new Map(),
  notifications: new Map(),
  users: new Map(),
  malformed: new Set(),
}

function levelsWithoutEvent(version: RoomVersion, creators: ReadonlySet<string>): PowerLevels {
  if (version.privilegedCreators) return levelsOf(version, creators, NONE)
  return levelsOf(version, creators, { ...NONE, users: new Map([...creators].map((creator) => [creator, 100])) })
}

function levelsOf(version: RoomVersion, creators: ReadonlySet<string>, levels: StatedLevels): PowerLevels {
  const { named, events, notifications, users } = levels
  const usersDefault = named.get('users_default') ?? 0
  const stateDefault = named.get('state_default') ?? 50
  const eventsDefault = named.get('events_default') ?? 0
  const privileged: ReadonlySet<string> = version.privilegedCreators ? creators : new Set()
  return {
    of: (userId) => (privileged.has(userId) ? Number.POSITIVE_INFINITY : (users.get(userId) ?? usersDefault)),
    users_default: usersDefault,
    ban: named.get('ban') ?? 50,
    kick: named.get('kick') ?? 50,
    invite: named.get('invite') ?? 0,
    redact: named.get('redact') ?? 50,
    required: (type, isState) => events.get(type) ?? (isState ? stateDefault : eventsDefault),
    notification: (key) => notifications.get(key) ?? 50,
  }
}

function readLevels(version: RoomVersion, content: JsonObject): StatedLevels {
  const malformed = new Set<string>()
  const levels = (property: string): Map<string, number> => {
    const read = readMap(version, content[property])
    if (read === undefined || read.size < Object.keys(content[property] ?? {}).length) malformed.add(property)
    return read ?? new Map()
  }
  const named = new Map<string, number>()
  for (const property of NAMED_LEVELS) {
    if (content[property] === undefined) continue
    const level = readLevel(version, content[property])
    if (level === undefined) malformed.add(property)
    else named.set(property, level)
  }
  return { named, events: levels('events'), notifications: levels('notifications'), users: levels('users'), malformed }
}

/** Returns the entries that are levels; `undefined` for a value that is not an object. */
function readMap(version: RoomVersion, value: unknown): Map<string, number> | undefined {
  const levels = new Map<string, number>()
  if (value === undefined) return levels
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  for (const [key, entry] of Object.entries(value)) {
    const level = readLevel(version, entry)
    if (level !== undefined) levels.set(key, level)
  }
  return levels
}

/**
 * Only integers since version 10; earlier also strings:
 * https://spec.matrix.org/v1.19/rooms/v9/#mroompower_levels-events-accept-values-as-strings
 */
function readLevel(version: RoomVersion, value: unknown): number | undefined {
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return value
    // Floats are accepted where canonical JSON is not enforced:
    // https://spec.matrix.org/v1.19/rooms/v5/#mroompower_levels-events-accept-values-as-floats
    return version.strictCanonicalJson || !Number.isFinite(value) ? undefined : Math.trunc(value)
  }
  if (version.integerPowerLevels || typeof value !== 'string' || !/^\s*[+-]?[0-9]+\s*$/.test(value)) return undefined
  const level = Number(value)
  return Number.isFinite(level) ? level : undefined
}
