import type { JsonObject, Pdu } from './pdu.ts'
import type { RoomVersion } from './room-versions.ts'

const TOP_KEYS = [
  ...['auth_events', 'content', 'depth', 'event_id', 'hashes', 'origin_server_ts', 'prev_events', 'room_id', 'sender'],
  ...['signatures', 'state_key', 'type'],
]
const OLD_TOP_KEYS = ['membership', 'origin', 'prev_state']
const LEVELS = ['ban', 'events', 'events_default', 'kick', 'redact', 'state_default', 'users', 'users_default']

/** Returns the event as redaction leaves it in a room version. https://spec.matrix.org/v1.19/rooms/v12/#redactions */
export function redact({ number }: RoomVersion, pdu: Pdu): Pdu {
  const event = pdu as unknown as JsonObject
  const kept = pick(event, number < 11 ? [...TOP_KEYS, ...OLD_TOP_KEYS] : TOP_KEYS)
  return { ...kept, content: redactContent(number, pdu) } as unknown as Pdu
}

function redactContent(version: number, { type, content }: Pdu): JsonObject {
  if (type === 'm.room.create' && version >= 11) return content
  const keys = contentKeys(version)
  // A type can be named like a method that every object has.
  const kept = pick(content, Object.hasOwn(keys, type) ? keys[type]! : [])
  const invite = type === 'm.room.member' && version >= 11 ? content.third_party_invite : undefined
  const isObject = typeof invite === 'object' && invite !== null && !Array.isArray(invite)
  return isObject ? { ...kept, third_party_invite: pick(invite, ['signed']) } : kept
}

function contentKeys(version: number): Record<string, string[]> {
  return {
    'm.room.create': ['creator'],
    'm.room.member': ['membership', ...(version >= 9 ? ['join_authorised_via_users_server'] : [])],
    'm.room.join_rules': ['join_rule', ...(version >= 8 ? ['allow'] : [])],
    'm.room.power_levels': [...LEVELS, ...(version >= 11 ? ['invite'] : [])],
    'm.room.history_visibility': ['history_visibility'],
    'm.room.aliases': version < 6 ? ['aliases'] : [],
    'm.room.redaction': version >= 11 ? ['redacts'] : [],
  }
}

function pick(object: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(keys.flatMap((key) => (object[key] === undefined ? [] : [[key, object[key]]])))
}
