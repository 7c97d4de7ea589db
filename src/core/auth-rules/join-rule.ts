import type { AuthState } from './verdict.ts'

/**
 * Returns the `join_rule` of a room state; the default is `invite`.
 * https://spec.matrix.org/v1.19/client-server-api/#mroomjoin_rules
 */
export function joinRuleOf(state: AuthState): string {
  const joinRule = state.get('m.room.join_rules', '')?.pdu.content.join_rule
  return typeof joinRule === 'string' ? joinRule : 'invite'
}
