import type { RoomVersion } from '../room-versions.ts'
import { joinRuleOf } from './join-rule.ts'
import type { MemberChange } from './member-change.ts'
import { membershipOf } from './membership.ts'
import { ALLOWED, type AuthVerdict, refuse } from './verdict.ts'

/**
 * Rule 4.3, joins. Comments give the rule numbers of version 11.
 * https://spec.matrix.org/v1.19/rooms/v11/#authorisation-rules
 */
export function checkJoin(change: MemberChange): AuthVerdict {
  const { version, state, sender, target, rule } = change
  // 4.3.1
  if (isFirstJoin(change)) return ALLOWED
  // 4.3.2
  if (sender !== target) return refuse(`${rule.join}.2`, 'A user cannot join for another user')
  const current = membershipOf(state, sender)
  // 4.3.3
  if (current === 'ban') return refuse(`${rule.join}.3`, 'The sender is banned')
  const joinRule = joinRuleOf(state)
  const wasAskedIn = current === 'invite' || current === 'join'
  // 4.3.4
  if ((joinRule === 'invite' || (version.knock && joinRule === 'knock')) && wasAskedIn) return ALLOWED
  // 4.3.5
  if (isRestricted(version, joinRule)) {
    // 4.3.5.1, 4.3.5.3
    if (wasAskedIn || isAuthorised(change)) return ALLOWED
    // 4.3.5.2
    return refuse(`${rule.join}.5.2`, 'join_authorised_via_users_server names no member with the power to invite')
  }
  // 4.3.6
  if (joinRule === 'public') return ALLOWED
  // 4.3.7
  return refuse(`${rule.join}.${version.restrictedJoins ? 7 : 6}`, `The join rule is ${joinRule}`)
}

/** Whether the room has only its create event, and its creator joins. */
function isFirstJoin({ version, event, create, target }: MemberChange): boolean {
  const [previous, ...others] = event.prev_event_ids
  if (previous !== create.event_id || others.length > 0) return false
  return target === (version.implicitCreator ? create.pdu.sender : create.pdu.content.creator)
}

function isRestricted(version: RoomVersion, joinRule: string): boolean {
  return (
    (version.restrictedJoins && joinRule === 'restricted') ||
    (version.knockRestricted && joinRule === 'knock_restricted')
  )
}

/** Whether the user that authorised the join has the power to invite. */
function isAuthorised({ state, content, levels }: MemberChange): boolean {
  const authoriser = content.join_authorised_via_users_server
  if (typeof authoriser !== 'string' || membershipOf(state, authoriser) !== 'join') return false
  return levels.of(authoriser) >= levels.invite
}
