import type { Work } from '../text/glob.ts'
import type { PushUser } from './compile-condition.ts'
import { type CompiledRule, type CompiledRuleset, rulesForType } from './compile-ruleset.ts'
import type { PreparedEvent } from './prepare-event.ts'
import { type PushVerdict, SILENT } from './verdict.ts'

/** The input for one member of a room and one event. */
type EvaluatePushRules = {
  rules: CompiledRuleset
  event: PreparedEvent
  userId: string
  /** The user's name in the room, for the deprecated `contains_display_name`. */
  displayName?: string | undefined
  /** The steps for the user's custom rules: conditions, and characters that these examine. */
  steps: number
}

/**
 * Evaluates an event for one user: the actions of the first matching rule in the order override, content, postcontent,
 * room, sender, underride. The sender is not notified of its own event. Never throws, whatever the event and the rules
 * contain. Without steps left, custom rules with conditions no longer match; all others do.
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

/** An event, evaluated for a user. */
type Trial = { event: PreparedEvent; user: PushUser; work: Work }

function firstMatch(rules: readonly CompiledRule[], trial: Trial): PushVerdict | undefined {
  for (const rule of rules) {
    if (holds(rule, trial)) return rule.verdict
  }
  return undefined
}

/** The cost of the default rules is known. */
const UNLIMITED: Work = { left: Number.POSITIVE_INFINITY }

function holds({ isDefault, conditions }: CompiledRule, { event, user, work: left }: Trial): boolean {
  const work = isDefault ? UNLIMITED : left
  for (const condition of conditions) {
    work.left -= 1
    if (work.left < 0 || !condition(event, user, work)) return false
  }
  return true
}
