import { joinRuleOf } from './join-rule.ts'
import type { MemberChange } from './member-change.ts'
import { membershipOf } from './membership.ts'
import { ALLOWED, type AuthVerdict, refuse } from './verdict.ts'

/**
 * Rule 4.7, knocks. Comments give the rule numbers of version 11.
 * https://spec.matrix.org/v1.19/rooms/v11/#authorisation-rules
 */
export function checkKnock({ version, state, sender, target, rule }: MemberChange): AuthVerdict {
  const joinRule = joinRuleOf(state)
  // 4.7.1
  if (joinRule !== 'knock' && !(version.knockRestricted && joinRule === 'knock_restricted')) {
    return refuse(`${rule.knock}.1`, `The join rule is ${joinRule}`)
  }
  // 4.7.2
  if (sender !== target) return refuse(`${rule.knock}.2`, 'A user cannot knock for another user')
  const current = membershipOf(state, sender)
  // 4.7.3
  if (current !== 'ban' && current !== 'invite' && current !== 'join') return ALLOWED
  // 4.7.4
  return refuse(`${rule.knock}.4`, `The membership of the sender is ${current}`)
}
