import { defaultPushRules } from './default-rules.ts'
import type { PushRule, PushRuleset } from './push-rule.ts'
import type { CustomRule, PushRuleOverlay } from './rule-schema.ts'

/**
 * Returns all rules of a user, as in `GET /pushrules/global/` and `m.push_rules`. Custom rules precede default rules,
 * except that `.m.rule.master` is always first. https://spec.matrix.org/v1.19/client-server-api/#predefined-rules
 */
export function effectiveRuleset(userId: string, overlay: PushRuleOverlay): PushRuleset {
  const defaults = defaultPushRules(userId)
  const changed = (rules: PushRule[]) => rules.map((rule) => withChanges(rule, overlay))
  const [master, ...override] = changed(defaults.override)
  const { custom } = overlay
  return {
    override: [master as PushRule, ...custom.override.map(asPushRule), ...override],
    content: [...custom.content.map(asPushRule), ...changed(defaults.content)],
    postcontent: changed(defaults.postcontent),
    room: [...custom.room.map(asPushRule), ...changed(defaults.room)],
    sender: [...custom.sender.map(asPushRule), ...changed(defaults.sender)],
    underride: [...custom.underride.map(asPushRule), ...changed(defaults.underride)],
  }
}

function withChanges(rule: PushRule, { defaults }: PushRuleOverlay): PushRule {
  return Object.hasOwn(defaults, rule.rule_id) ? { ...rule, ...defaults[rule.rule_id] } : rule
}

function asPushRule(rule: CustomRule): PushRule {
  return { ...rule, default: false }
}
