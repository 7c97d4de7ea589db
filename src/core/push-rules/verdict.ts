import type { Json } from '../pdu.ts'
import type { PushAction } from './push-rule.ts'

/** The effect of an event for a user. */
export type PushVerdict = {
  /** Counts as unread, and goes to the user's pushers. */
  readonly notify: boolean
  /** Counts as a highlight; only where `notify`. */
  readonly highlight: boolean
  /** The sound to play; only where `notify`. */
  readonly sound?: string
  /**
   * Every tweak, in the form for push gateways: https://spec.matrix.org/v1.19/push-gateway-api/#post_matrixpushv1notify
   */
  readonly tweaks: Readonly<Record<string, Json>>
  /** The actions of the matching rule, without historical ones, as in `GET /notifications`. */
  readonly actions: readonly PushAction[]
}

/**
 * Interprets the actions of a rule: https://spec.matrix.org/v1.19/client-server-api/#actions. `dont_notify` and
 * `coalesce` do nothing; a tweak without value is `true`; the last of several equal tweaks wins.
 */
export function verdictOf(actions: readonly PushAction[]): PushVerdict {
  const recognised = actions.filter((action) => action === 'notify' || typeof action === 'object')
  if (!recognised.includes('notify')) return SILENT
  const tweaks = Object.fromEntries(
    recognised.flatMap((action) =>
      typeof action === 'object' ? [[action.set_tweak, action.value ?? true] as const] : [],
    ),
  )
  const { sound, highlight = false } = tweaks
  return {
    notify: true,
    highlight: highlight !== false,
    ...(typeof sound === 'string' && { sound }),
    tweaks,
    actions: recognised,
  }
}

/** No rule matched, or the matching rule has no effect. */
export const SILENT: PushVerdict = { notify: false, highlight: false, tweaks: {}, actions: [] }
