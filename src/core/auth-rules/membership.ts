import type { AuthState } from './verdict.ts'

/** The membership of a user in a room state; `undefined` if there is none. */
export function membershipOf(state: AuthState, userId: string): string | undefined {
  const membership = state.get('m.room.member', userId)?.pdu.content.membership
  return typeof membership === 'string' ? membership : undefined
}
