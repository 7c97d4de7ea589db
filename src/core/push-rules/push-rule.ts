import type { Json } from '../pdu.ts'

/**
 * The kinds of rules in order of evaluation. https://spec.matrix.org/v1.19/client-server-api/#push-rules; `postcontent`
 * is for threads (MSC4306) and has only default rules.
 */
export const PUSH_RULE_KINDS = ['override', 'content', 'postcontent', 'room', 'sender', 'underride'] as const
export type PushRuleKind = (typeof PUSH_RULE_KINDS)[number]

/** A condition as clients write it; `kind` determines its parameters. Unknown kinds are stored and never match. */
export type PushCondition = { [parameter: string]: unknown; kind: string }

/** `"notify"`, a historical action without effect, or a tweak. */
export type PushAction = string | PushTweak
type PushTweak = { [parameter: string]: unknown; set_tweak: string; value?: Json }

/** A rule in the form of the API. */
export type PushRule = {
  rule_id: string
  default: boolean
  enabled: boolean
  actions: PushAction[]
  /** Of `override`, `postcontent` and `underride` rules. */
  conditions?: PushCondition[]
  /** Of `content` rules. */
  pattern?: string
}

/** All rules of a user, by kind, in order of evaluation; the `global` part of `m.push_rules`. */
export type PushRuleset = Record<PushRuleKind, PushRule[]>
