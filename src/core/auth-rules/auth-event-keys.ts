import type { Pdu, StateKey } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'

/**
 * Returns the state keys that authorise an event, without duplicates. Those that exist in the room are its
 * `auth_events`. https://spec.matrix.org/v1.19/server-server-api/#auth-events-selection
 */
export function authEventKeys(
  version: RoomVersion,
  event: Pick<Pdu, 'type' | 'state_key' | 'sender' | 'content'>,
): StateKey[] {
  if (event.type === 'm.room.create') return []
  const keys: StateKey[] = version.roomIdIsCreateHash ? [] : [{ type: 'm.room.create', state_key: '' }]
  keys.push({ type: 'm.room.power_levels', state_key: '' }, { type: 'm.room.member', state_key: event.sender })
  if (event.type === 'm.room.member') addMembershipKeys(version, event, keys)
  return keys
}

function addMembershipKeys(
  version: RoomVersion,
  event: Pick<Pdu, 'state_key' | 'sender' | 'content'>,
  keys: StateKey[],
): void {
  const { state_key: target, content } = event
  if (target !== undefined && target !== event.sender) keys.push({ type: 'm.room.member', state_key: target })
  const { membership } = content
  if (membership === 'join' || membership === 'invite' || membership === 'knock') {
    keys.push({ type: 'm.room.join_rules', state_key: '' })
  }
  const token = membership === 'invite' ? thirdPartyToken(content.third_party_invite) : undefined
  if (token !== undefined) keys.push({ type: 'm.room.third_party_invite', state_key: token })
  const authorisingUser = content.join_authorised_via_users_server
  if (membership !== 'join' || !version.restrictedJoins || typeof authorisingUser !== 'string') return
  if (authorisingUser !== event.sender && authorisingUser !== target) {
    keys.push({ type: 'm.room.member', state_key: authorisingUser })
  }
}

/** `signed.token` of a `third_party_invite`. */
function thirdPartyToken(invite: unknown): string | undefined {
  const token = (invite as { signed?: { token?: unknown } | null } | null | undefined)?.signed?.token
  return typeof token === 'string' ? token : undefined
}
