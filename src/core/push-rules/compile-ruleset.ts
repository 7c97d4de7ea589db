import {
  type CompiledCondition,
  compileCondition,
  containsUserName,
  hasNoMentions,
  matchesBody,
} from './compile-condition.ts'
import { defaultPushRules, NAME_RULES } from './default-rules.ts'
import type { PushCondition, PushRule, PushRuleset } from './push-rule.ts'
import { type PushVerdict, verdictOf } from './verdict.ts'

/**
 * A ruleset made ready to be put to many events. Depends on the rules only, so it can be kept as long as they do not
 * change.
 */
export type CompiledRuleset = {
  readonly override: CompiledRule[]
  readonly content: CompiledRule[]
  readonly postcontent: CompiledRule[]
  /** By room id. */
  readonly room: ReadonlyMap<string, PushVerdict>
  /** By user id. */
  readonly sender: ReadonlyMap<string, PushVerdict>
  readonly underride: CompiledRule[]
  /** Those of override and underride that an event of that type can match; filled as types come. */
  readonly byType: Map<string, TypedRules>
}

export type TypedRules = { override: readonly CompiledRule[]; underride: readonly CompiledRule[] }

export type CompiledRule = {
  /** Whether it is of the server: those of the user's own have to do with a number of steps. */
  readonly isDefault: boolean
  /** What it asks of the event's type. */
  readonly types: readonly ((type: string) => boolean)[]
  /** What else it asks. */
  readonly conditions: readonly CompiledCondition[]
  readonly verdict: PushVerdict
}

/**
 * Compiles a user's enabled rules. `userId` is the one that the rules were made for: where they name it, they ask for
 * the user they are put to, so rulesets that differ in nothing else need compiling once.
 */
export function compileRuleset(ruleset: PushRuleset, userId: string): CompiledRuleset {
  return {
    override: ruleset.override.flatMap((rule) => compileConditional(rule, userId)),
    content: ruleset.content.flatMap(compileContent),
    postcontent: ruleset.postcontent.flatMap((rule) => compileConditional(rule, userId)),
    room: verdictsById(ruleset.room),
    sender: verdictsById(ruleset.sender),
    underride: ruleset.underride.flatMap((rule) => compileConditional(rule, userId)),
    byType: new Map(),
  }
}

/** The ruleset of every user who has changed nothing. */
export const compiledDefaultRuleset: CompiledRuleset = compileRuleset(defaultPushRules('@user:server'), '@user:server')

/**
 * The rules that an event of that type can match: most conditions ask for a type, so few remain to be put to each user.
 */
export function rulesForType(ruleset: CompiledRuleset, type: string): TypedRules {
  let rules = ruleset.byType.get(type)
  if (!rules) {
    const canMatch = (rule: CompiledRule) => rule.types.every((matches) => matches(type))
    rules = { override: ruleset.override.filter(canMatch), underride: ruleset.underride.filter(canMatch) }
    // Anyone can send events of any type.
    if (ruleset.byType.size >= maxTypes) ruleset.byType.clear()
    ruleset.byType.set(type, rules)
  }
  return rules
}

const maxTypes = 64

/** One rule; none where it is disabled or has a condition that never holds. */
function compileConditional(rule: PushRule, userId: string): CompiledRule[] {
  if (!rule.enabled) return []
  const types: ((type: string) => boolean)[] = []
  const conditions: CompiledCondition[] = rule.rule_id === NAME_RULES.displayName ? [hasNoMentions] : []
  for (const condition of rule.conditions ?? []) {
    const type = compileTypeCondition(condition)
    if (type) {
      types.push(type)
      continue
    }
    const compiled = compileCondition(condition, userId)
    if (!compiled) return []
    conditions.push(compiled)
  }
  return [{ isDefault: rule.default, types, conditions, verdict: verdictOf(rule.actions) }]
}

/** What a condition asks of the type, if it names one; those with patterns are left to `compileCondition`. */
function compileTypeCondition({ kind, key, pattern, value }: PushCondition): ((type: string) => boolean) | undefined {
  if (key !== 'type') return undefined
  if (kind === 'event_property_is' && typeof value === 'string') return (type) => type === value
  if (kind !== 'event_match' || typeof pattern !== 'string' || /[*?]/.test(pattern)) return undefined
  const lowered = pattern.toLowerCase()
  return (type) => type.toLowerCase() === lowered
}

function compileContent(rule: PushRule): CompiledRule[] {
  if (!rule.enabled || rule.pattern === undefined) return []
  const conditions =
    rule.rule_id === NAME_RULES.userName ? [hasNoMentions, containsUserName] : [matchesBody(rule.pattern)]
  return [{ isDefault: rule.default, types: [], conditions, verdict: verdictOf(rule.actions) }]
}

function verdictsById(rules: PushRule[]): Map<string, PushVerdict> {
  return new Map(rules.filter((rule) => rule.enabled).map((rule) => [rule.rule_id, verdictOf(rule.actions)]))
}
