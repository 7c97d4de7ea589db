import type { JsonObject } from '../pdu.ts'
import type { Membership } from './membership.ts'

export type HistoryVisibility = 'world_readable' | 'shared' | 'invited' | 'joined'

/** How visible the room's history was at an event. */
export type VisibilityAtEvent = {
  /** By the state before the event. */
  visibility: HistoryVisibility
  /** By the state after it, where the event is the `m.room.history_visibility` that changes it. */
  visibilityAfter?: HistoryVisibility | undefined
}

/** What a user was at an event, and became. */
export type UserAtEvent = {
  /** By the state before the event; undefined where the user had not been heard of, as one who only peeks. */
  membership: Membership | undefined
  /** By the state after it, where the event is the user's own `m.room.member`. */
  membershipAfter?: Membership | undefined
  /**
   * The user joined at some point after the event was sent, whether or not they have left again. Who is joined now and
   * was not at the event, did.
   */
  joinedLater: boolean
}

/**
 * What an `m.room.history_visibility` event says; `shared` where there is none or its value is not understood.
 * https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility
 */
export function historyVisibilityOf(content: JsonObject | undefined): HistoryVisibility {
  const value = content && Object.hasOwn(content, 'history_visibility') ? content.history_visibility : undefined
  return value === 'world_readable' || value === 'invited' || value === 'joined' ? value : 'shared'
}

/**
 * Whether a user may see an event: https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility
 * This is all there is to it for members, invited users, those who left or were banned, peekers and guests alike: who
 * left sees what was sent until then, since rule 2 looks at the event's own time.
 */
export function isEventVisible(event: VisibilityAtEvent, user: UserAtEvent): boolean {
  return (
    isVisible(event.visibility, user.membership, user.joinedLater) ||
    (event.visibilityAfter !== undefined && isVisible(event.visibilityAfter, user.membership, user.joinedLater)) ||
    (user.membershipAfter !== undefined && isVisible(event.visibility, user.membershipAfter, user.joinedLater))
  )
}

/**
 * Whether another server may have an event: if any of its users may see it, as it will show it to them. `users` are
 * those of its users that the room knows. That the server is in the room, where an endpoint asks for it, is to be
 * checked beside this.
 */
export function isEventVisibleToServer(event: VisibilityAtEvent, users: Iterable<UserAtEvent>): boolean {
  if (event.visibility === 'world_readable' || event.visibilityAfter === 'world_readable') return true
  for (const user of users) {
    if (isEventVisible(event, user)) return true
  }
  return false
}

/** Rules 1 to 5. */
function isVisible(visibility: HistoryVisibility, membership: Membership | undefined, joinedLater: boolean): boolean {
  if (visibility === 'world_readable') return true // 1
  if (membership === 'join') return true // 2
  if (visibility === 'shared' && joinedLater) return true // 3
  return membership === 'invite' && visibility === 'invited' // 4, 5
}
