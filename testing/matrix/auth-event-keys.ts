import type { Pdu } from './pdu.ts'
import type { RoomVersion } from './room-versions.ts'

type Drafted = Pick<Pdu, 'type' | 'sender' | 'content'> & { state_key?: string }
type StateKey = { type: string; state_key: string }

/**
 * Returns the keys of the state that an event has to name.
 * https://spec.matrix.org/v1.19/server-server-api/#auth-events-selection
 */
export function authEventKeys(version: RoomVersion, event: Drafted): StateKey[] {
  if (event.type === 'm.room.create') return []
  const keys = [
    ...(version.roomIdIsCreateHash ? [] : [['m.room.create', '']]),
    ['m.room.power_levels', ''],
    ['m.room.member', event.sender],
    ...(event.type === 'm.room.member' ? membershipKeys(version, event) : []),
  ]
  const unique = new Map(keys.map((key) => [JSON.stringify(key), key]))
  return [...unique.values()].map(([type, state_key]) => ({ type: type!, state_key: state_key! }))
}

function membershipKeys({ restrictedJoins }: RoomVersion, { state_key: target, content }: Drafted): string[][] {
  const { membership, join_authorised_via_users_server: authoriser } = content
  const token = (content.third_party_invite as { signed?: { token?: unknown } } | undefined)?.signed?.token
  const isRestricted = membership === 'join' && restrictedJoins && typeof authoriser === 'string'
  return [
    ...(target === undefined ? [] : [['m.room.member', target]]),
    ...(['join', 'invite', 'knock'].includes(membership as string) ? [['m.room.join_rules', '']] : []),
    ...(membership === 'invite' && typeof token === 'string' ? [['m.room.third_party_invite', token]] : []),
    ...(isRestricted ? [['m.room.member', authoriser]] : []),
  ]
}
