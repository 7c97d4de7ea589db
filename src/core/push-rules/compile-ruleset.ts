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

/** A ruleset compiled for many events. It depends only on the rules, so it can be cached until they change. */
export type CompiledRuleset = {
  readonly override: CompiledRule[]
  readonly content: CompiledRule[]
  readonly postcontent: CompiledRule[]
  /** By room id. */
  readonly room: ReadonlyMap<string, PushVerdict>
  /** By user id. */
  readonly sender: ReadonlyMap<string, PushVerdict>
  readonly underride: CompiledRule[]
  /** Override and underride rules that an event of a type can match; filled on demand. */
  readonly byType: Map<string, TypedRules>
}

export type TypedRules = { override: readonly CompiledRule[]; underride: readonly CompiledRule[] }

export type CompiledRule = {
  /** Whether it is a default rule. A user's own rules share a limited number of steps. */
  readonly isDefault: boolean
  /** Conditions on the event type. */
  readonly types: readonly ((type: string) => boolean)[]
  /** All other conditions. */
  readonly conditions: readonly CompiledCondition[]
  readonly verdict: PushVerdict
}

/**
 * Compiles a user's enabled rules. `userId` is their owner: occurrences of it match the user that the rules are
 * evaluated for, so rulesets that differ only in it are compiled once.
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

/** The ruleset of users without changes. */
export const compiledDefaultRuleset: CompiledRuleset = compileRuleset(defaultPushRules('@user:server'), '@user:server')

/**
 * Returns the rules that an event of that type can match. Most rules have a condition on the type, so few remain for
 * each user.
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

/** Compiles one rule; returns nothing if it is disabled or has a condition that never matches. */
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

/** Compiles a condition on the type; `compileCondition` compiles conditions with patterns. */
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
