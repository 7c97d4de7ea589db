import type { JsonObject } from '../pdu.ts'

/**
 * Types of stripped state, the most important first. https://spec.matrix.org/v1.19/client-server-api/#stripped-state
 */
const BY_IMPORTANCE = [
  'm.room.create',
  'm.room.name',
  'm.room.join_rules',
  'm.room.member',
  'm.room.canonical_alias',
  'm.room.avatar',
  'm.room.encryption',
  'm.room.topic',
]
const MAX_NAME = 256

/** Returns the most important events that fit into `most` characters of JSON, in their original order. */
export function fitStrippedState(events: readonly JsonObject[], most: number): JsonObject[] {
  const sizes = new Map(events.map((event) => [event, JSON.stringify(event).length]))
  let left = most
  const kept = new Set<JsonObject>()
  for (const event of [...events].sort((a, b) => rankOf(a) - rankOf(b))) {
    const size = sizes.get(event)!
    if (size > left) continue
    kept.add(event)
    left -= size
  }
  return events.filter((event) => kept.has(event))
}

/**
 * Returns the member event of an invited or knocking user, which is required. If it is larger than `most` characters,
 * returns only its essential fields.
 */
export function fitMember(member: JsonObject, most: number): JsonObject {
  if (JSON.stringify(member).length <= most) return member
  const { membership, displayname, is_direct } = member.content as JsonObject
  const content: JsonObject = { membership: membership! }
  if (typeof displayname === 'string') content.displayname = displayname.slice(0, MAX_NAME)
  if (typeof is_direct === 'boolean') content.is_direct = is_direct
  return { ...member, content }
}

function rankOf({ type }: JsonObject): number {
  const rank = BY_IMPORTANCE.indexOf(String(type))
  return rank < 0 ? BY_IMPORTANCE.length : rank
}
