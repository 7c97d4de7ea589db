import { isUserId, type RoomId, type UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { creatorsOf, statedLevels } from '../../../core/rooms/power-levels.ts'
import { spaceChildren } from '../../../core/rooms/space-children.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import type { InitialEvent } from './initial-events.ts'
import { initialPowerLevels } from './initial-power-levels.ts'

/** The old room, and the parameters of its upgrade. */
export type Upgrade = {
  upgrader: UserId
  from: RoomVersion
  to: RoomVersion
  additionalCreators: readonly UserId[]
  /** All current state of the old room. */
  state: readonly StoredEvent[]
  predecessor: { room_id: RoomId; event_id?: string }
}

/**
 * https://spec.matrix.org/v1.19/client-server-api/#server-behaviour-19, and other state that does not depend on its
 * sender.
 */
const TRANSFERRED = [
  'm.room.server_acl',
  'm.room.encryption',
  'm.room.name',
  'm.room.avatar',
  'm.room.topic',
  'm.room.guest_access',
  'm.room.history_visibility',
  'm.room.join_rules',
  'm.room.policy',
]
const MAX_LEVEL = Number.MAX_SAFE_INTEGER

/** Returns the content of the new room's `m.room.create`. */
export function upgradedCreate({ upgrader, to, additionalCreators, state, predecessor }: Upgrade): JsonObject {
  const old = find(state, 'm.room.create')?.pdu.content ?? {}
  return {
    ...(!to.implicitCreator && { creator: upgrader }),
    room_version: to.id,
    predecessor,
    ...(old.type !== undefined && { type: old.type }),
    ...(old['m.federate'] !== undefined && { 'm.federate': old['m.federate'] }),
    ...(to.privilegedCreators && additionalCreators.length > 0 && { additional_creators: [...additionalCreators] }),
  }
}

/**
 * Converts the old room's power levels to the new version. Creators that had unlimited power in the old version get the
 * highest level.
 */
export function upgradedPowerLevels(upgrade: Upgrade): JsonObject & { users: Record<string, number> } {
  const { upgrader, from, to, additionalCreators, state } = upgrade
  const create = find(state, 'm.room.create')!
  const event = find(state, 'm.room.power_levels')
  if (!event) {
    const founders = { creator: upgrader, preset: 'private_chat' as const, invitees: [], override: {} }
    return { ...initialPowerLevels(to, founders), users: to.privilegedCreators ? {} : { [upgrader]: 100 } }
  }
  const { named, events, notifications, users } = statedLevels(from, event)
  const creators = new Set<string>(to.privilegedCreators ? [upgrader, ...additionalCreators] : [])
  const highest = Math.max(100, ...named.values(), ...events.values(), ...users.values())
  const former = from.privilegedCreators && !to.privilegedCreators ? creatorsOf(from, create) : []
  const levels = [...users, ...former.map((userId) => [userId, highest] as const)]
  return {
    ...Object.fromEntries(named),
    events: Object.fromEntries(events),
    ...(notifications.size > 0 && { notifications: Object.fromEntries(notifications) }),
    users: Object.fromEntries(levels.filter(([userId]) => isUserId(userId) && !creators.has(userId))),
  }
}

/**
 * Returns the power levels with enough power for the upgrader to set up the room; undefined if the upgrader has it
 * already.
 */
export function raisedPowerLevels(
  { upgrader, to }: Upgrade,
  levels: JsonObject & { users: Record<string, number> },
): JsonObject | undefined {
  if (to.privilegedCreators) return undefined
  const { events = {}, users, users_default = 0, ...named } = levels
  const stated = [...Object.values(named), ...Object.values(events as JsonObject), ...Object.values(users)]
  const others = Math.max(100, ...stated.filter((level) => typeof level === 'number'))
  const raised = Math.min(others + 1, MAX_LEVEL)
  if ((users[upgrader] ?? users_default) === raised) return undefined
  return { ...levels, users: { ...users, [upgrader]: raised } }
}

/** Returns the further transferred state: the recommended types, the children of a space, and the bans. */
export function transferredState(upgrade: Upgrade): InitialEvent[] {
  const { state, to } = upgrade
  const copied = TRANSFERRED.flatMap((type) => {
    const content = find(state, type)?.pdu.content ?? {}
    return Object.keys(content).length === 0 ? [] : [{ type, state_key: '', content: contentFor(to, type, content) }]
  })
  const isSpace = find(state, 'm.room.create')?.pdu.content.type === 'm.space'
  const children = isSpace ? spaceChildren(state.map(({ pdu }) => pdu)) : []
  return [
    ...copied,
    ...children.map(({ roomId, event }) => ({
      type: 'm.space.child',
      state_key: roomId,
      content: event.content,
    })),
    ...state.flatMap((event) => banOf(upgrade, event)),
  ]
}

function find(state: readonly StoredEvent[], type: string): StoredEvent | undefined {
  return state.find(({ pdu }) => pdu.type === type && pdu.state_key === '')
}

/** A join rule that the version does not know would lock everybody out. Never makes a room more open than before. */
function contentFor(to: RoomVersion, type: string, content: JsonObject): JsonObject {
  if (type !== 'm.room.join_rules') return content
  const rule = content.join_rule
  const known =
    (rule !== 'knock' || to.knock) &&
    (rule !== 'restricted' || to.restrictedJoins) &&
    (rule !== 'knock_restricted' || to.knockRestricted)
  return known ? content : { join_rule: 'invite' }
}

function banOf({ upgrader, to, additionalCreators }: Upgrade, { pdu }: StoredEvent): InitialEvent[] {
  const { type, state_key: userId = '', content } = pdu
  if (type !== 'm.room.member' || content.membership !== 'ban' || userId === upgrader) return []
  if (to.privilegedCreators && additionalCreators.includes(userId as UserId)) return []
  const reason = typeof content.reason === 'string' ? { reason: content.reason } : {}
  return [{ type, state_key: userId, content: { membership: 'ban', ...reason } }]
}
