import type { Work } from '../text/glob.ts'
import type { PushUser } from './compile-condition.ts'
import { type CompiledRule, type CompiledRuleset, rulesForType } from './compile-ruleset.ts'
import type { PreparedEvent } from './prepare-event.ts'
import { type PushVerdict, SILENT } from './verdict.ts'

/** What is asked for each member of a room when an event arrives. */
type EvaluatePushRules = {
  rules: CompiledRuleset
  event: PreparedEvent
  userId: string
  /** The user's name in the room, for the deprecated `contains_display_name`. */
  displayName?: string | undefined
  /** How many characters the user's own rules may look at, and conditions they may have, all together. */
  steps: number
}

/**
 * What an event means to one user: the actions of the first rule that matches, override, content, postcontent,
 * room, sender, underride in turn. Nobody is notified of what they sent themselves. Never throws, whatever the event and the rules
 * hold. Once the steps are used up, those of the user's own rules that have conditions do not match any more; all others do.
 * https://spec.matrix.org/v1.19/client-server-api/#push-rules
 */
export function evaluatePushRules({ rules, event, steps, ...user }: EvaluatePushRules): PushVerdict {
  const { type, sender, room_id } = event.event
  const trial = { event, user, work: { left: steps } }
  if (sender === user.userId) return SILENT
  const { override, underride } = rulesForType(rules, type)
  return (
    firstMatch(override, trial) ??
    firstMatch(rules.content, trial) ??
    firstMatch(rules.postcontent, trial) ??
    rules.room.get(room_id) ??
    rules.sender.get(sender) ??
    firstMatch(underride, trial) ??
    SILENT
  )
}

/** An event that is put to rules. */
type Trial = { event: PreparedEvent; user: PushUser; work: Work }

function firstMatch(rules: readonly CompiledRule[], trial: Trial): PushVerdict | undefined {
  for (const rule of rules) {
    if (holds(rule, trial)) return rule.verdict
  }
  return undefined
}

/** What the server's own rules take is known. */
const UNLIMITED: Work = { left: Number.POSITIVE_INFINITY }

function holds({ isDefault, conditions }: CompiledRule, { event, user, work: left }: Trial): boolean {
  const work = isDefault ? UNLIMITED : left
  for (const condition of conditions) {
    work.left -= 1
    if (work.left < 0 || !condition(event, user, work)) return false
  }
  return true
}
