import type { JsonObject, Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'

/**
 * Returns a redacted copy of an event, with the keys that the room version protects. Signatures and reference hashes
 * cover the same form. https://spec.matrix.org/v1.19/rooms/v11/#redactions and the same section of other versions
 */
export function redact(version: RoomVersion, pdu: Pdu): Pdu {
  const redacted = pick(pdu as unknown as JsonObject, version.updatedRedactions ? KEYS_SINCE_V11 : KEYS_BEFORE_V11)
  redacted.content = redactContent(version, pdu.type, pdu.content)
  return redacted as unknown as Pdu
}

const KEYS_SINCE_V11 = [
  'auth_events',
  'content',
  'depth',
  'event_id',
  'hashes',
  'origin_server_ts',
  'prev_events',
  'room_id',
  'sender',
  'signatures',
  'state_key',
  'type',
]

const KEYS_BEFORE_V11 = [...KEYS_SINCE_V11, 'membership', 'origin', 'prev_state']

const POWER_LEVEL_KEYS = [
  'ban',
  'events',
  'events_default',
  'kick',
  'redact',
  'state_default',
  'users',
  'users_default',
]

function redactContent(version: RoomVersion, type: string, content: JsonObject): JsonObject {
  switch (type) {
    case 'm.room.member':
      return redactMember(version, content)
    case 'm.room.create':
      return version.updatedRedactions ? content : pick(content, ['creator'])
    case 'm.room.join_rules':
      return pick(content, version.redactionKeepsAllow ? ['join_rule', 'allow'] : ['join_rule'])
    case 'm.room.power_levels':
      return pick(content, version.updatedRedactions ? [...POWER_LEVEL_KEYS, 'invite'] : POWER_LEVEL_KEYS)
    case 'm.room.history_visibility':
      return pick(content, ['history_visibility'])
    case 'm.room.aliases':
      return pick(content, version.specialAliases ? ['aliases'] : [])
    case 'm.room.redaction':
      return pick(content, version.updatedRedactions ? ['redacts'] : [])
    default:
      return {}
  }
}

function redactMember(version: RoomVersion, content: JsonObject): JsonObject {
  const keys = version.redactionKeepsJoinAuthorised
    ? ['membership', 'join_authorised_via_users_server']
    : ['membership']
  const redacted = pick(content, keys)
  const invite = content.third_party_invite
  if (version.updatedRedactions && typeof invite === 'object' && invite !== null && !Array.isArray(invite)) {
    // An invite without `signed` keeps an empty object: other servers hash this form.
    redacted.third_party_invite = pick(invite, ['signed'])
  }
  return redacted
}

function pick(object: JsonObject, keys: readonly string[]): JsonObject {
  const picked: JsonObject = {}
  for (const key of keys) {
    const value = object[key]
    if (value !== undefined) picked[key] = value
  }
  return picked
}
