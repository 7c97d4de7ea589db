import { domainOf } from '../ids.ts'
import { powerLevels } from '../rooms/power-levels.ts'
import { checkInvite } from './check-invite.ts'
import { checkJoin } from './check-join.ts'
import { checkKnock } from './check-knock.ts'
import type { MemberChange, Proposal } from './member-change.ts'
import { membershipOf } from './membership.ts'
import { ruleNumbers } from './rule-numbers.ts'
import { ALLOWED, type AuthVerdict, refuse } from './verdict.ts'

/**
 * Rule 4 (5 in versions 1–5 and 12), `m.room.member`. Comments give the rule numbers of version 11.
 * https://spec.matrix.org/v1.19/rooms/v11/#authorisation-rules
 */
export function checkMember({ version, event, state, create }: Proposal): AuthVerdict {
  const rule = ruleNumbers(version)
  const { sender, state_key: target, content } = event.pdu
  // 4.1
  if (target === undefined || typeof content.membership !== 'string') {
    return refuse(`${rule.member}.1`, 'state_key or membership is missing')
  }
  const levels = powerLevels(version, create, state.get('m.room.power_levels', ''))
  const change: MemberChange = { version, event, state, create, rule, sender, target, content, levels }
  // 4.2.1
  if (version.restrictedJoins && !isSignedForAuthoriser(change)) {
    return refuse(
      `${rule.authorisedVia}.1`,
      'The signature of the server of join_authorised_via_users_server is missing',
    )
  }
  return checkMembership(change, content.membership)
}

function checkMembership(change: MemberChange, membership: string): AuthVerdict {
  // 4.3
  if (membership === 'join') return checkJoin(change)
  // 4.4
  if (membership === 'invite') return checkInvite(change)
  // 4.5
  if (membership === 'leave') return checkLeave(change)
  // 4.6
  if (membership === 'ban') return checkBan(change)
  // 4.7
  if (change.version.knock && membership === 'knock') return checkKnock(change)
  // 4.8
  return refuse(change.rule.unknownMembership, `The membership ${membership} is unknown`)
}

/** Whether the signature exists. All signatures were verified when the event was received. */
function isSignedForAuthoriser({ event, content }: MemberChange): boolean {
  const authoriser = content.join_authorised_via_users_server
  if (authoriser === undefined) return true
  const server = typeof authoriser === 'string' ? domainOf(authoriser) : undefined
  return server !== undefined && Object.hasOwn(event.pdu.signatures, server)
}

function checkLeave({ version, state, sender, target, levels, rule }: MemberChange): AuthVerdict {
  const current = membershipOf(state, target)
  // 4.5.1
  if (sender === target) {
    const mayLeave = current === 'invite' || current === 'join' || (version.knock && current === 'knock')
    return mayLeave ? ALLOWED : refuse(`${rule.leave}.1`, 'The sender is not in the room')
  }
  // 4.5.2
  if (membershipOf(state, sender) !== 'join') return refuse(`${rule.leave}.2`, 'The sender is not in the room')
  const power = levels.of(sender)
  // 4.5.3
  if (current === 'ban' && power < levels.ban) return refuse(`${rule.leave}.3`, 'The sender may not unban')
  // 4.5.4
  if (power >= levels.kick && levels.of(target) < power) return ALLOWED
  // 4.5.5
  return refuse(`${rule.leave}.5`, 'The sender may not kick that user')
}

function checkBan({ state, sender, target, levels, rule }: MemberChange): AuthVerdict {
  // 4.6.1
  if (membershipOf(state, sender) !== 'join') return refuse(`${rule.ban}.1`, 'The sender is not in the room')
  const power = levels.of(sender)
  // 4.6.2
  if (power >= levels.ban && levels.of(target) < power) return ALLOWED
  // 4.6.3
  return refuse(`${rule.ban}.3`, 'The sender may not ban that user')
}
