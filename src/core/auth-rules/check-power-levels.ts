import { isUserId } from '../ids.ts'
import type { Event } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import { creatorsOf, NAMED_LEVELS, powerLevels, type StatedLevels, statedLevels } from '../rooms/power-levels.ts'
import { type PowerLevelsRuleNumbers, ruleNumbers } from './rule-numbers.ts'
import { ALLOWED, type AuthVerdict, refuse } from './verdict.ts'

/** A change of power levels; `power` is the sender's level before it. */
type Change = { sender: string; power: number; current: StatedLevels; next: StatedLevels; rule: PowerLevelsRuleNumbers }

/**
 * Rule 9 (10 in versions 1–5 and 12), `m.room.power_levels`: a sender cannot grant or remove more power than its own.
 * Comments give the rule numbers of version 11. https://spec.matrix.org/v1.19/rooms/v11/#authorisation-rules
 */
export function checkPowerLevels(
  version: RoomVersion,
  event: Event,
  room: { create: Event; current: Event | undefined },
): AuthVerdict {
  const rule = ruleNumbers(version).powerLevels
  const next = statedLevels(version, event)
  const malformed =
    checkShape(version, next, rule) ?? checkUsers(next, rule) ?? checkCreators(version, room.create, next, rule)
  if (malformed !== undefined) return malformed
  // 9.4
  if (room.current === undefined) return ALLOWED
  const { sender } = event.pdu
  const power = powerLevels(version, room.create, room.current).of(sender)
  const change = { sender, power, current: statedLevels(version, room.current), next, rule }
  // 9.10
  return checkNamed(change) ?? checkEntries(version, change) ?? checkUserChanges(change) ?? ALLOWED
}

/**
 * 9.1 and 9.2 (since version 10). Earlier versions have no rule that rejects unreadable levels. But the event format
 * forbids them ("they must be the following format"), so the comparison rejects them.
 */
function checkShape(
  version: RoomVersion,
  { malformed }: StatedLevels,
  rule: PowerLevelsRuleNumbers,
): AuthVerdict | undefined {
  const named = NAMED_LEVELS.find((property) => malformed.has(property))
  if (named !== undefined) {
    return refuse(version.integerPowerLevels ? rule.namedMalformed : rule.named, `${named} is not a power level`)
  }
  const entries = checkedEntries(version).find((property) => malformed.has(property))
  if (entries === undefined) return undefined
  const number = version.integerPowerLevels ? rule.entriesMalformed : rule.entriesNew
  return refuse(number, `${entries} is not an object of power levels`)
}

/** 9.3 */
function checkUsers({ malformed, users }: StatedLevels, rule: PowerLevelsRuleNumbers): AuthVerdict | undefined {
  if (!malformed.has('users') && users.keys().every(isUserId)) return undefined
  return refuse(rule.usersMalformed, 'users is not an object of user ids and power levels')
}

/** v12: 10.4 */
function checkCreators(
  version: RoomVersion,
  create: Event,
  { users }: StatedLevels,
  rule: PowerLevelsRuleNumbers,
): AuthVerdict | undefined {
  if (!version.privilegedCreators) return undefined
  const creator = creatorsOf(version, create).find((userId) => users.has(userId))
  return creator === undefined ? undefined : refuse(rule.listsCreator, `users lists ${creator}, a creator of the room`)
}

/** 9.5 */
function checkNamed({ power, current, next, rule }: Change): AuthVerdict | undefined {
  for (const property of NAMED_LEVELS) {
    const [before, after] = [current.named.get(property), next.named.get(property)]
    if (before === after) continue
    // 9.5.1
    if (before !== undefined && before > power)
      return refuse(`${rule.named}.1`, `${property} is above the sender's power`)
    // 9.5.2
    if (after !== undefined && after > power)
      return refuse(`${rule.named}.2`, `${property} would be above the sender's power`)
  }
  return undefined
}

/** 9.6 and 9.7 */
function checkEntries(version: RoomVersion, { power, current, next, rule }: Change): AuthVerdict | undefined {
  const changes = checkedEntries(version).flatMap((property) => alterations(current[property], next[property]))
  // 9.6.1
  const held = changes.find(({ before }) => before !== undefined && before > power)
  if (held !== undefined)
    return refuse(`${rule.entriesCurrent}.1`, `The level of ${held.key} is above the sender's power level`)
  // 9.7.1
  const raised = changes.find(({ after }) => after !== undefined && after > power)
  if (raised === undefined) return undefined
  return refuse(`${rule.entriesNew}.1`, `The level of ${raised.key} would be above the sender's power level`)
}

/** 9.8 and 9.9 */
function checkUserChanges({ sender, power, current, next, rule }: Change): AuthVerdict | undefined {
  const changes = alterations(current.users, next.users)
  // 9.8.1
  const peer = changes.find(({ key, before }) => key !== sender && before !== undefined && before >= power)
  if (peer !== undefined) return refuse(`${rule.usersCurrent}.1`, `${peer.key} has as much power as the sender`)
  // 9.9.1
  const raised = changes.find(({ after }) => after !== undefined && after > power)
  if (raised === undefined) return undefined
  return refuse(`${rule.usersNew}.1`, `${raised.key} would have more power than the sender`)
}

/** The objects of levels that the rules compare: `notifications` since version 6. */
function checkedEntries(version: RoomVersion): ('events' | 'notifications')[] {
  return version.limitNotificationPowerLevels ? ['events', 'notifications'] : ['events']
}

type Alteration = { key: string; before: number | undefined; after: number | undefined }

/** Returns the added, changed and removed levels. */
function alterations(current: ReadonlyMap<string, number>, next: ReadonlyMap<string, number>): Alteration[] {
  const changes: Alteration[] = []
  for (const [key, before] of current) if (next.get(key) !== before) changes.push({ key, before, after: next.get(key) })
  for (const [key, after] of next) if (!current.has(key)) changes.push({ key, before: undefined, after })
  return changes
}
