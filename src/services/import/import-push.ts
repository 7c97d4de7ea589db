import type { DeviceId, UserId } from '../../core/ids.ts'
import type { PushAction, PushCondition } from '../../core/push-rules/push-rule.ts'
import type { CustomRule, CustomRuleKind, PushRuleOverlay } from '../../core/push-rules/rule-schema.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { insertRows } from '../../storage/import/insert-rows.ts'
import { hashToken } from '../users/tokens.ts'
import { type ImportContext, type ImportStep, rowStep } from './import-step.ts'

type RuleRow = {
  user_name: UserId
  /** `global/override/…` */
  rule_id: string
  priority_class: number
  conditions: string
  actions: string
}

type EnabledRow = { user_name: UserId; rule_id: string; enabled: number }

const pushRules = rowStep<{ user_name: UserId }>({
  name: 'users with push rules',
  table: 'push_rules',
  columns: 'user_name',
  from: `(select user_name from push_rules union select user_name from push_rules_enable) as concerned
    join users on users.name = user_name`,
  key: ['user_name'],
  size: 200,
  async store(tx, rows, { main }) {
    const names = rows.map(({ user_name }) => user_name)
    const rules = await main.query<RuleRow>(
      `select user_name, rule_id, priority_class, conditions, actions from push_rules
        where user_name = any($1) order by priority_class desc, priority desc`,
      [names],
    )
    const enabled = await main.query<EnabledRow>(
      'select user_name, rule_id, enabled from push_rules_enable where user_name = any($1)',
      [names],
    )
    const rulesOf = Map.groupBy(rules, ({ user_name }) => user_name)
    const enabledOf = Map.groupBy(enabled, ({ user_name }) => user_name)
    return insertRows(
      tx,
      'push_rules',
      names.map((name) => ({
        user_id: name,
        overlay: JSON.stringify(overlayOf(rulesOf.get(name) ?? [], enabledOf.get(name) ?? [])),
      })),
    )
  },
})

/** Changes of default rules have the class -1 and only actions; their ids begin with a dot. */
function overlayOf(rules: readonly RuleRow[], switched: readonly EnabledRow[]): PushRuleOverlay {
  const overlay: PushRuleOverlay = {
    custom: { override: [], content: [], room: [], sender: [], underride: [] },
    defaults: {},
  }
  const isEnabled = new Map(switched.map(({ rule_id, enabled }) => [rule_id, enabled !== 0]))
  const changeDefault = (id: string, change: PushRuleOverlay['defaults'][string]) => {
    overlay.defaults[id] = { ...overlay.defaults[id], ...change }
  }
  for (const row of rules) {
    const { kind, id } = nameOf(row.rule_id)
    const actions = JSON.parse(row.actions) as PushAction[]
    if (id.startsWith('.')) changeDefault(id, { actions })
    else if (Object.hasOwn(overlay.custom, kind)) {
      const enabled = isEnabled.get(row.rule_id) ?? true
      overlay.custom[kind as CustomRuleKind].push({
        rule_id: id,
        enabled,
        actions,
        ...matchingOf(kind, JSON.parse(row.conditions)),
      })
    }
  }
  for (const [rule_id, enabled] of isEnabled) {
    const { id } = nameOf(rule_id)
    if (id.startsWith('.')) changeDefault(id, { enabled })
  }
  return overlay
}

function nameOf(ruleId: string): { kind: string; id: string } {
  const [, kind = '', ...id] = ruleId.split('/')
  return { kind, id: id.join('/') }
}

/** Synapse stores rules of rooms, senders and contents as conditions. */
function matchingOf(kind: string, conditions: PushCondition[]): Pick<CustomRule, 'conditions' | 'pattern'> {
  if (kind === 'override' || kind === 'underride') return { conditions }
  if (kind !== 'content') return {}
  const pattern = conditions[0]?.pattern
  return typeof pattern === 'string' ? { pattern } : {}
}

type PusherRow = {
  user_name: UserId
  device_id: DeviceId | null
  token: string | null
  profile_tag: string | null
  kind: string
  app_id: string
  app_display_name: string
  device_display_name: string
  pushkey: string
  ts: number
  lang: string | null
  data: string | null
}

/** A pusher ends with its device or token: those whose token is gone are left out, as Synapse would not use them. */
const pushers = rowStep<PusherRow>({
  name: 'pushers',
  columns: `pushers.user_name, devices.device_id, tokens.token, profile_tag, kind, app_id, app_display_name,
    device_display_name, pushkey, ts, lang, data`,
  from: `pushers join users on users.name = pushers.user_name
    join access_tokens as tokens on tokens.user_id = pushers.user_name and tokens.puppets_user_id is null
      and (tokens.id = pushers.access_token or (pushers.access_token is null and tokens.device_id = pushers.device_id))
    left join devices on devices.user_id = pushers.user_name
      and devices.device_id = coalesce(pushers.device_id, tokens.device_id) and devices.hidden is not true`,
  where: 'pushers.enabled is not false and deactivated = 0',
  key: ['pushers.id', 'tokens.id'],
  store: storePushers,
})

/** With MAS, Synapse knows no tokens: a pusher ends with its device. */
const devicePushers = rowStep<PusherRow>({
  name: 'pushers of devices',
  columns: `pushers.user_name, devices.device_id, null as token, profile_tag, kind, app_id, app_display_name,
    device_display_name, pushkey, ts, lang, data`,
  from: `pushers join users on users.name = pushers.user_name
    join devices on devices.user_id = pushers.user_name and devices.device_id = pushers.device_id
      and devices.hidden is not true`,
  where: 'pushers.enabled is not false and deactivated = 0',
  key: ['pushers.id'],
  store: storePushers,
})

function storePushers(tx: Tx, rows: readonly PusherRow[], { extent }: ImportContext): Promise<number> {
  return insertRows(
    tx,
    'pushers',
    rows.map((row) => ({
      user_id: row.user_name,
      app_id: row.app_id,
      pushkey: row.pushkey,
      device_id: row.device_id,
      token_hash: row.device_id === null && row.token !== null ? hashToken(row.token) : null,
      kind: row.kind,
      app_display_name: row.app_display_name,
      device_display_name: row.device_display_name,
      profile_tag: row.profile_tag || null,
      lang: row.lang ?? 'en',
      data: row.data ?? '{}',
      pushkey_ts: Math.floor(row.ts / 1000),
      since_position: extent.lastPosition,
    })),
  )
}

/** Push rules and pushers. */
export const PUSH_STEPS: readonly ImportStep[] = [pushRules, pushers]
/** The same of a Synapse that uses MAS. */
export const MAS_PUSH_STEPS: readonly ImportStep[] = [pushRules, devicePushers]
