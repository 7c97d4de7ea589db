import type { z } from 'zod'
import { BadJsonError, InvalidParamError, MatrixError, NotFoundError, TooLargeError } from '../errors.ts'
import { defaultPushRules } from './default-rules.ts'
import { PUSH_RULE_KINDS, type PushAction, type PushRule, type PushRuleKind, type PushRuleset } from './push-rule.ts'
import { type CustomRule, type CustomRuleKind, type PushRuleOverlay, pushAction, ruleBody } from './rule-schema.ts'

/** Names a rule as the path of the API does; `kind` is unvalidated. */
export type PushRuleName = { kind: string; ruleId: string }

/**
 * Finds a rule for `GET /pushrules/global/{kind}/{ruleId}`. Throws InvalidParamError for an unknown kind, NotFoundError
 * for an unknown rule.
 */
export function findPushRule(ruleset: PushRuleset, { kind, ruleId }: PushRuleName): PushRule {
  const rule = ruleset[asKind(kind)].find(({ rule_id }) => rule_id === ruleId)
  if (!rule) throw ruleNotFound()
  return rule
}

/** Returns the rules of a kind in order of evaluation. Throws InvalidParamError for an unknown kind. */
export function rulesOfKind(ruleset: PushRuleset, kind: string): readonly PushRule[] {
  return ruleset[asKind(kind)]
}

/**
 * `before` and `after` name a custom rule of the same kind; the rule is placed directly before or after it. `before`
 * wins over `after`.
 */
export type PutPushRule = PushRuleName & { body: unknown; before?: string | undefined; after?: string | undefined }

/**
 * Adds a rule, or replaces and moves it. A new rule is enabled and placed first in its kind; a replaced one keeps its
 * place and enabled state. Returns the changed overlay. Throws InvalidParamError for an unknown kind or a forbidden
 * rule id, BadJsonError for an invalid body, M_UNKNOWN if `before` or `after` name no rule, TooLargeError if the user's
 * rules become too expensive.
 * https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3pushrulesglobalkindruleid
 */
export function putPushRule(
  overlay: PushRuleOverlay,
  { kind: sentKind, ruleId, body, before, after }: PutPushRule,
): PushRuleOverlay {
  const kind = asKind(sentKind)
  if (kind === 'postcontent') throw new InvalidParamError(`Rules of kind ${kind} are reserved for the server`)
  checkRuleId(ruleId)
  const rules = overlay.custom[kind]
  const existing = rules.find((rule) => rule.rule_id === ruleId)
  const rule: CustomRule = { rule_id: ruleId, enabled: existing?.enabled ?? true, ...parseBody(kind, body) }
  checkActions(rule.actions)
  return checkSize(withRules(overlay, kind, place(rules, rule, { before, after })))
}

/**
 * Enables or disables a custom or default rule. Returns the changed overlay; throws InvalidParamError (kind) or
 * NotFoundError (rule).
 * https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3pushrulesglobalkindruleidenabled
 */
export function setPushRuleEnabled(
  overlay: PushRuleOverlay,
  name: PushRuleName & { enabled: boolean },
): PushRuleOverlay {
  return change(overlay, name, { enabled: name.enabled })
}

/**
 * Sets the actions of a custom or default rule. Returns the changed overlay; throws InvalidParamError (kind),
 * NotFoundError (rule), BadJsonError (actions) or TooLargeError.
 * https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3pushrulesglobalkindruleidactions
 */
export function setPushRuleActions(
  overlay: PushRuleOverlay,
  name: PushRuleName & { actions: unknown },
): PushRuleOverlay {
  const actions = parse(pushAction.array(), name.actions)
  checkActions(actions)
  return checkSize(change(overlay, name, { actions }))
}

/**
 * Deletes a custom rule. Returns the changed overlay; throws InvalidParamError for an unknown kind or a default rule,
 * NotFoundError for an unknown rule.
 * https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3pushrulesglobalkindruleid
 */
export function deletePushRule(overlay: PushRuleOverlay, { kind: sentKind, ruleId }: PushRuleName): PushRuleOverlay {
  const kind = asKind(sentKind)
  if (isDefault(kind, ruleId)) throw new InvalidParamError('A default push rule cannot be deleted, only disabled')
  if (kind === 'postcontent') throw ruleNotFound()
  const rules = overlay.custom[kind].filter((rule) => rule.rule_id !== ruleId)
  if (rules.length === overlay.custom[kind].length) throw ruleNotFound()
  return withRules(overlay, kind, rules)
}

function change(
  overlay: PushRuleOverlay,
  name: PushRuleName,
  changes: Pick<Partial<CustomRule>, 'enabled' | 'actions'>,
): PushRuleOverlay {
  const kind = asKind(name.kind)
  const { ruleId } = name
  if (isDefault(kind, ruleId)) {
    return { ...overlay, defaults: { ...overlay.defaults, [ruleId]: { ...overlay.defaults[ruleId], ...changes } } }
  }
  if (kind === 'postcontent' || !overlay.custom[kind].some((rule) => rule.rule_id === ruleId)) throw ruleNotFound()
  const rules = overlay.custom[kind].map((rule) => (rule.rule_id === ruleId ? { ...rule, ...changes } : rule))
  return withRules(overlay, kind, rules)
}

function withRules(overlay: PushRuleOverlay, kind: CustomRuleKind, rules: CustomRule[]): PushRuleOverlay {
  return { ...overlay, custom: { ...overlay.custom, [kind]: rules } }
}

function place(
  rules: CustomRule[],
  rule: CustomRule,
  { before, after }: Pick<PutPushRule, 'before' | 'after'>,
): CustomRule[] {
  const isNew = rules.every(({ rule_id }) => rule_id !== rule.rule_id)
  const all = isNew ? [rule, ...rules] : rules.map((other) => (other.rule_id === rule.rule_id ? rule : other))
  const neighbour = before ?? after
  if (neighbour === undefined || (neighbour === rule.rule_id && !isNew)) return all
  const others = all.filter((other) => other !== rule)
  const index = others.findIndex(({ rule_id }) => rule_id === neighbour)
  // The specification's example uses this error code.
  if (index === -1) throw new MatrixError(400, 'M_UNKNOWN', `before/after rule not found: ${neighbour}`)
  return others.toSpliced(before === undefined ? index + 1 : index, 0, rule)
}

function asKind(kind: string): PushRuleKind {
  const known = PUSH_RULE_KINDS.find((candidate) => candidate === kind)
  if (!known) throw new InvalidParamError(`Unknown kind of push rule: ${kind}`)
  return known
}

function checkRuleId(ruleId: string): void {
  if (ruleId === '') throw new InvalidParamError('A push rule needs a rule id')
  if (ruleId.startsWith('.')) throw new InvalidParamError("Rule ids that start with '.' are reserved for the server")
  if (/[/\\]/.test(ruleId)) throw new InvalidParamError('Rule ids cannot contain slashes or backslashes')
}

function isDefault(kind: PushRuleKind, ruleId: string): boolean {
  return defaultPushRules('')[kind].some(({ rule_id }) => rule_id === ruleId)
}

function ruleNotFound(): NotFoundError {
  return new NotFoundError('The push rule was not found')
}

function parseBody(kind: CustomRuleKind, body: unknown): Omit<CustomRule, 'rule_id' | 'enabled'> {
  if (kind === 'content') return parse(ruleBody.content, body)
  return parse(kind === 'override' || kind === 'underride' ? ruleBody.conditional : ruleBody.plain, body)
}

function parse<Out>(schema: z.ZodType<Out>, input: unknown): Out {
  const parsed = unlessTooDeep(() => schema.safeParse(input))
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new BadJsonError(`Not a push rule: ${issue ? [...issue.path, issue.message].join(': ') : 'invalid'}`)
}

/** Conditions of unknown kinds and tweaks contain arbitrary JSON, which may be nested too deeply to traverse. */
function unlessTooDeep<Out>(walk: () => Out): Out {
  try {
    return walk()
  } catch (error) {
    if (error instanceof RangeError) throw new BadJsonError('The push rule is nested too deeply')
    throw error
  }
}

/**
 * Each change sends all rules of a user to all devices, and each event of each of the user's rooms is evaluated against
 * them.
 */
const maxOverlayCharacters = 512 * 1024
/** The time to search a long message is proportional to these. */
const maxPatternCharacters = 8 * 1024

/** Actions are stored with each notification. */
const maxActionCharacters = 4096

function checkActions(actions: readonly PushAction[]): void {
  if (unlessTooDeep(() => JSON.stringify(actions)).length > maxActionCharacters)
    throw new TooLargeError('The actions of the push rule are too large')
}

function checkSize(overlay: PushRuleOverlay): PushRuleOverlay {
  if (unlessTooDeep(() => JSON.stringify(overlay)).length > maxOverlayCharacters)
    throw new TooLargeError('Too many push rules')
  const { override, content, underride } = overlay.custom
  const conditions = [...override, ...underride].flatMap((rule) => rule.conditions ?? [])
  const inContent = conditions.filter(({ key }) => typeof key === 'string' && key.startsWith('content.'))
  const patterns = [...inContent, ...content].map(({ pattern }) => (typeof pattern === 'string' ? pattern.length : 0))
  const names = conditions.filter(({ kind }) => kind === 'contains_display_name').length * maxNameCharacters
  if (patterns.reduce((sum, length) => sum + length, names) > maxPatternCharacters) {
    throw new TooLargeError('The patterns of your push rules are too long together')
  }
  return overlay
}

const maxNameCharacters = 256
