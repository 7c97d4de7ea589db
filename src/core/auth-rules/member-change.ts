import type { Event, JsonObject } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import type { PowerLevels } from '../rooms/power-levels.ts'
import type { RuleNumbers } from './rule-numbers.ts'
import type { AuthState } from './verdict.ts'

/** An event and the room that it wants to change. */
export type Proposal = { version: RoomVersion; event: Event; state: AuthState; create: Event }

/** A well-formed `m.room.member` event in its room: what the rules about memberships look at. */
export type MemberChange = Proposal & {
  rule: RuleNumbers
  sender: string
  /** The user whose membership it is. */
  target: string
  content: JsonObject
  levels: PowerLevels
}
