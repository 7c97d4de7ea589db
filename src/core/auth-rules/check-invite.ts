import { checkThirdPartyInvite } from './check-third-party-invite.ts'
import type { MemberChange } from './member-change.ts'
import { membershipOf } from './membership.ts'
import { ALLOWED, type AuthVerdict, refuse } from './verdict.ts'

/**
 * Rule 4.4, invites. Comments give the rule numbers of version 11.
 * https://spec.matrix.org/v1.19/rooms/v11/#authorisation-rules
 */
export function checkInvite(change: MemberChange): AuthVerdict {
  const { state, sender, target, content, levels, rule } = change
  // 4.4.1
  if (content.third_party_invite !== undefined) return checkThirdPartyInvite(change)
  // 4.4.2
  if (membershipOf(state, sender) !== 'join') return refuse(`${rule.invite}.2`, 'The sender is not in the room')
  const current = membershipOf(state, target)
  // 4.4.3
  if (current === 'join' || current === 'ban')
    return refuse(`${rule.invite}.3`, `The membership of the user is ${current}`)
  // 4.4.4
  if (levels.of(sender) >= levels.invite) return ALLOWED
  // 4.4.5
  return refuse(`${rule.invite}.5`, 'The sender may not invite')
}
