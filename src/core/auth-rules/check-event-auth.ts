import { domainOf, isUserId } from '../ids.ts'
import type { Event } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import { powerLevels } from '../rooms/power-levels.ts'
import { checkAliases } from './check-aliases.ts'
import { checkCreate } from './check-create.ts'
import { checkMember } from './check-member.ts'
import { checkPowerLevels } from './check-power-levels.ts'
import { checkRedaction } from './check-redaction.ts'
import { membershipOf } from './membership.ts'
import { ruleNumbers } from './rule-numbers.ts'
import { ALLOWED, type AuthState, type AuthVerdict, refuse } from './verdict.ts'

export type { AuthState, AuthVerdict } from './verdict.ts'

/**
 * Checks an event against the authorisation rules of a room version and a room state. The caller has verified
 * signatures, except those in a third-party invite; `checkAuthEvents` checks the event's own `auth_events`. Comments
 * give the rule numbers of version 11. https://spec.matrix.org/v1.19/rooms/v11/#authorisation-rules
 */
export function checkEventAuth(version: RoomVersion, event: Event, state: AuthState): AuthVerdict {
  const { type, sender } = event.pdu
  // 1
  if (type === 'm.room.create') return checkCreate(version, event)
  const create = state.get('m.room.create', '')
  const rule = ruleNumbers(version)
  // 2.4
  if (create === undefined) return refuse(rule.noCreate, 'The room has no m.room.create')
  // v12: 2
  if (version.roomIdIsCreateHash && !isRoomOf(event, create)) {
    return refuse(rule.noCreate, 'The room id does not belong to an accepted m.room.create')
  }
  // 3
  if (create.pdu.content['m.federate'] === false && domainOf(sender) !== domainOf(create.pdu.sender)) {
    return refuse(rule.federate, 'The room does not federate')
  }
  // v1–v5: 4
  if (version.specialAliases && type === 'm.room.aliases') return checkAliases(event)
  // 4
  if (type === 'm.room.member') return checkMember({ version, event, state, create })
  // 5
  if (membershipOf(state, sender) !== 'join') return refuse(rule.notJoined, 'The sender is not in the room')
  return checkPower(version, event, { create, current: state.get('m.room.power_levels', '') })
}

/** The rules for senders who are in the room. */
function checkPower(
  version: RoomVersion,
  event: Event,
  room: { create: Event; current: Event | undefined },
): AuthVerdict {
  const { type, state_key: stateKey, sender } = event.pdu
  const rule = ruleNumbers(version)
  const levels = powerLevels(version, room.create, room.current)
  const power = levels.of(sender)
  // 6.1
  if (type === 'm.room.third_party_invite') {
    return power >= levels.invite ? ALLOWED : refuse(`${rule.thirdPartyInvite}.1`, 'The sender may not invite')
  }
  // 7
  if (levels.required(type, stateKey !== undefined) > power) {
    return refuse(rule.requiredPower, `The sender does not have the power to send ${type}`)
  }
  // 8
  if (stateKey?.startsWith('@') && stateKey !== sender) {
    if (!version.ownedState) return refuse(rule.othersStateKey, 'The state_key is the id of another user')
    const owner = ownerOf(stateKey)
    if (owner === undefined) return refuse(rule.malformedStateKey, 'The state_key does not start with a user id')
    if (owner !== sender && levels.of(owner) >= power) {
      return refuse(rule.othersStateKey, 'The state_key belongs to another user with the same or more power')
    }
  }
  // 9
  if (type === 'm.room.power_levels') return checkPowerLevels(version, event, room)
  // v1, v2: 11
  if (version.redactionByEventIdDomain && type === 'm.room.redaction') return checkRedaction(event, levels)
  // 10
  return ALLOWED
}

/**
 * https://github.com/matrix-org/matrix-spec-proposals/pull/3757: a user id, alone or followed by an underscore and any
 * text.
 */
function ownerOf(stateKey: string): string | undefined {
  const suffix = stateKey.indexOf('_', stateKey.indexOf(':') + 1)
  const owner = suffix === -1 ? stateKey : stateKey.slice(0, suffix)
  return isUserId(owner) ? owner : undefined
}

function isRoomOf(event: Event, create: Event): boolean {
  return !create.rejected && event.room_id.slice(1) === create.event_id.slice(1)
}
