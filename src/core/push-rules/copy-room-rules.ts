import type { CustomRule, PushRuleOverlay } from './rule-schema.ts'

/**
 * Returns a user's push rules with the rules for the room `from` copied to the room `to`; the same object if there is
 * nothing to copy.
 */
export function copyRoomRules(overlay: PushRuleOverlay, from: string, to: string): PushRuleOverlay {
  const { override, room, underride } = overlay.custom
  const copied = {
    override: withCopies(override, from, to),
    room: withCopies(room, from, to),
    underride: withCopies(underride, from, to),
  }
  if (copied.override === override && copied.room === room && copied.underride === underride) return overlay
  return { ...overlay, custom: { ...overlay.custom, ...copied } }
}

/** Inserts each copy after its original. */
function withCopies(rules: CustomRule[], from: string, to: string): CustomRule[] {
  const known = new Set(rules.map((rule) => rule.rule_id))
  const result = rules.flatMap((rule) => {
    const copy = copyOf(rule, from, to)
    return copy && !known.has(copy.rule_id) ? [rule, copy] : [rule]
  })
  return result.length === rules.length ? rules : result
}

/**
 * The rule that mutes a room is of kind `room` with the room id as rule id, or of kind `override` with a condition on
 * the room id.
 */
function copyOf(rule: CustomRule, from: string, to: string): CustomRule | undefined {
  const { conditions } = rule
  const isOfRoom = (condition: { kind: string; key?: unknown; pattern?: unknown }) =>
    condition.kind === 'event_match' && condition.key === 'room_id' && condition.pattern === from
  if (rule.rule_id !== from && !conditions?.some(isOfRoom)) return undefined
  return {
    ...rule,
    rule_id: rule.rule_id.includes(from) ? rule.rule_id.replaceAll(from, to) : `${rule.rule_id}_${to}`,
    ...(conditions && { conditions: conditions.map((each) => (isOfRoom(each) ? { ...each, pattern: to } : each)) }),
  }
}
