import type { PresenceState } from '../../../storage/schema/presence.ts'
import type { Session } from '../../http/route.ts'

/** Returns the presence that a sync sets; undefined: none, since others do not see shadow-banned users. */
export function presenceSetBy(
  { isShadowBanned }: Pick<Session, 'isShadowBanned'>,
  asked: PresenceState | null | undefined,
): PresenceState | undefined {
  return isShadowBanned ? undefined : (asked ?? 'online')
}
