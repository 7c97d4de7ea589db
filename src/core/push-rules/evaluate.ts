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
}

/**
 * What an event means to one user: the actions of the first rule that matches, override, content, postcontent,
 * room, sender, underride in turn. Nobody is notified of what they sent themselves. Never throws, whatever the event and the rules
 * hold. https://spec.matrix.org/v1.19/client-server-api/#push-rules
 */
export function evaluatePushRules({ rules, event, ...user }: EvaluatePushRules): PushVerdict {
  const { type, sender, room_id } = event.event
  if (sender === user.userId) return SILENT
  const { override, underride } = rulesForType(rules, type)
  return (
    firstMatch(override, event, user) ??
    firstMatch(rules.content, event, user) ??
    firstMatch(rules.postcontent, event, user) ??
    rules.room.get(room_id) ??
    rules.sender.get(sender) ??
    firstMatch(underride, event, user) ??
    SILENT
  )
}

function firstMatch(rules: readonly CompiledRule[], event: PreparedEvent, user: PushUser): PushVerdict | undefined {
  for (const rule of rules) {
    if (holds(rule, event, user)) return rule.verdict
  }
  return undefined
}

function holds(rule: CompiledRule, event: PreparedEvent, user: PushUser): boolean {
  for (const condition of rule.conditions) {
    if (!condition(event, user)) return false
  }
  return true
}
