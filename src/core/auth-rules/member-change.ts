import type { Event, JsonObject } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import type { PowerLevels } from '../rooms/power-levels.ts'
import type { RuleNumbers } from './rule-numbers.ts'
import type { AuthState } from './verdict.ts'

/** An event, and the state of the room before it. */
export type Proposal = { version: RoomVersion; event: Event; state: AuthState; create: Event }

/** A well-formed `m.room.member` event in its room: the input of the membership rules. */
export type MemberChange = Proposal & {
  rule: RuleNumbers
  sender: string
  /** The user whose membership changes. */
  target: string
  content: JsonObject
  levels: PowerLevels
}
