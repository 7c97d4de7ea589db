import { z } from 'zod'
import type { PushAction, PushCondition } from './push-rule.ts'

/**
 * An action: `notify`, a historical one (stored and ignored), or a tweak with any value.
 * https://spec.matrix.org/v1.19/client-server-api/#actions
 */
export const pushAction: z.ZodType<PushAction> = z.union(
  [
    z.enum(['notify', 'dont_notify', 'coalesce']),
    z.looseObject({ set_tweak: z.string(), value: z.json().exactOptional() }),
  ],
  { error: 'an action must be "notify" or an object with set_tweak' },
)

const scalar = z.union([z.string(), z.int(), z.boolean(), z.null()], {
  error: 'must be a string, an integer, a boolean or null',
})

/** The parameters of the specification's conditions. Other kinds are stored and never match. */
const parameters: ReadonlyMap<string, z.ZodType> = new Map<string, z.ZodType>([
  ['event_match', z.looseObject({ key: z.string(), pattern: z.string() })],
  ['event_property_is', z.looseObject({ key: z.string(), value: scalar })],
  ['event_property_contains', z.looseObject({ key: z.string(), value: scalar })],
  [
    'room_member_count',
    z.looseObject({
      is: z.string().regex(/^(==|<=|>=|<|>)?\d+$/, 'must be a number with ==, <, >, <= or >= before it'),
    }),
  ],
  ['sender_notification_permission', z.looseObject({ key: z.string() })],
  ['io.element.msc4306.thread_subscription', z.looseObject({ subscribed: z.boolean() })],
])

/** A condition: https://spec.matrix.org/v1.19/client-server-api/#conditions-1 */
const pushCondition: z.ZodType<PushCondition> = z
  .looseObject({ kind: z.string() })
  .superRefine((condition, context) => {
    for (const issue of parameters.get(condition.kind)?.safeParse(condition).error?.issues ?? []) {
      context.addIssue({ code: 'custom', path: issue.path, message: issue.message })
    }
  })

/** The body of `PUT /pushrules/global/{kind}/{ruleId}`, for each kind of rule. */
export const ruleBody = {
  conditional: z.object({ actions: z.array(pushAction), conditions: z.array(pushCondition).default([]) }),
  content: z.object({ actions: z.array(pushAction), pattern: z.string() }),
  plain: z.object({ actions: z.array(pushAction) }),
}

const customRule = z.object({
  rule_id: z.string(),
  enabled: z.boolean(),
  actions: z.array(pushAction),
  conditions: z.array(pushCondition).exactOptional(),
  pattern: z.string().exactOptional(),
})
const customRules = z.array(customRule)

/** A user's changes to the push rules, as stored. Default rules are in the program, so that all users get new ones. */
export const pushRuleOverlay = z.object({
  /** Custom rules by kind, in order of evaluation. */
  custom: z.object({
    override: customRules,
    content: customRules,
    room: customRules,
    sender: customRules,
    underride: customRules,
  }),
  /** Changes to default rules, by rule id. */
  defaults: z.record(
    z.string(),
    z.object({ enabled: z.boolean().exactOptional(), actions: z.array(pushAction).exactOptional() }),
  ),
})

export type PushRuleOverlay = z.infer<typeof pushRuleOverlay>
export type CustomRule = z.infer<typeof customRule>
/** The kinds of custom rules. */
export type CustomRuleKind = keyof PushRuleOverlay['custom']

/** The overlay of users without changes. */
export const emptyOverlay: PushRuleOverlay = {
  custom: { override: [], content: [], room: [], sender: [], underride: [] },
  defaults: {},
}
