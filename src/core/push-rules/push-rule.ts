import type { Json } from '../pdu.ts'

/**
 * The kinds of rules, most important first. https://spec.matrix.org/v1.19/client-server-api/#push-rules; `postcontent` is
 * that of threads (MSC4306), with default rules only.
 */
export const PUSH_RULE_KINDS = ['override', 'content', 'postcontent', 'room', 'sender', 'underride'] as const
export type PushRuleKind = (typeof PUSH_RULE_KINDS)[number]

/** A condition as clients write it; `kind` says which parameters it has. Unknown kinds are kept, and never match. */
export type PushCondition = { [parameter: string]: unknown; kind: string }

/** `"notify"`, a historical action that does nothing, or a tweak. */
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

/** All rules of a user, each kind with the most important first; what `m.push_rules` has under `global`. */
export type PushRuleset = Record<PushRuleKind, PushRule[]>
