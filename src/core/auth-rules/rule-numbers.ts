import type { RoomVersion } from '../room-versions.ts'

/** The numbers of the authorisation rules in a room version; they shift when a rule is added or removed. */
export type RuleNumbers = {
  /** Rejects an event of a room without create event. */
  noCreate: string
  authEvents: string
  federate: string
  aliases: string
  member: string
  authorisedVia: string
  join: string
  invite: string
  leave: string
  ban: string
  knock: string
  unknownMembership: string
  notJoined: string
  thirdPartyInvite: string
  requiredPower: string
  othersStateKey: string
  /** MSC3757: a state key that starts like a user id but is not one. */
  malformedStateKey: string
  powerLevels: PowerLevelsRuleNumbers
  redaction: string
}

export type PowerLevelsRuleNumbers = {
  namedMalformed: string
  entriesMalformed: string
  usersMalformed: string
  listsCreator: string
  named: string
  entriesCurrent: string
  entriesNew: string
  usersCurrent: string
  usersNew: string
}

/**
 * Returns the rule numbers of a room version, such as `5.2` for joins in version 1. A rule that a version lacks has the
 * number of the next one.
 */
export function ruleNumbers(version: RoomVersion): RuleNumbers {
  const known = numbersOf.get(version)
  if (known !== undefined) return known
  const numbers = number(version)
  numbersOf.set(version, numbers)
  return numbers
}

const numbersOf = new WeakMap<RoomVersion, RuleNumbers>()

function number(version: RoomVersion): RuleNumbers {
  const rule = counter()
  rule() // 1: m.room.create
  const room = rule(version.roomIdIsCreateHash)
  const authEvents = rule()
  const top = { authEvents, federate: rule(), aliases: rule(version.specialAliases), member: rule() }
  const numbers = {
    noCreate: version.roomIdIsCreateHash ? room : `${authEvents}.4`,
    ...top,
    ...membershipNumbers(version, top.member),
    notJoined: rule(),
    thirdPartyInvite: rule(),
    requiredPower: rule(),
    othersStateKey: rule(),
    powerLevels: powerLevelsNumbers(version, rule()),
    redaction: rule(version.redactionByEventIdDomain),
  }
  return { ...numbers, malformedStateKey: `${numbers.othersStateKey}.1` }
}

function membershipNumbers(version: RoomVersion, member: string) {
  const rule = counter(`${member}.`)
  rule() // .1: state_key and membership
  return {
    authorisedVia: rule(version.restrictedJoins),
    join: rule(),
    invite: rule(),
    leave: rule(),
    ban: rule(),
    knock: rule(version.knock),
    unknownMembership: rule(),
  }
}

function powerLevelsNumbers(version: RoomVersion, powerLevels: string): PowerLevelsRuleNumbers {
  const rule = counter(`${powerLevels}.`)
  const shape = {
    namedMalformed: rule(version.integerPowerLevels),
    entriesMalformed: rule(version.integerPowerLevels),
    usersMalformed: rule(),
    listsCreator: rule(version.privilegedCreators),
  }
  rule() // no previous m.room.power_levels
  return {
    ...shape,
    named: rule(),
    entriesCurrent: rule(),
    entriesNew: rule(),
    usersCurrent: rule(),
    usersNew: rule(),
  }
}

/** Counts the rules of a version; a missing rule gets the next number without using it up. */
function counter(prefix = ''): (present?: boolean) => string {
  let last = 0
  return (present = true) => {
    if (present) last++
    return `${prefix}${present ? last : last + 1}`
  }
}
