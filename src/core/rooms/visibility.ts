import type { JsonObject } from '../pdu.ts'
import type { Membership } from './membership.ts'

export type HistoryVisibility = 'world_readable' | 'shared' | 'invited' | 'joined'

/** The history visibility of the room at an event. */
export type VisibilityAtEvent = {
  /** From the state before the event. */
  visibility: HistoryVisibility
  /** From the state after it, if the event is the `m.room.history_visibility` that changes it. */
  visibilityAfter?: HistoryVisibility | undefined
}

/** The membership of a user before and after an event. */
export type UserAtEvent = {
  /** From the state before the event; undefined for a user without membership, such as one who peeks. */
  membership: Membership | undefined
  /** From the state after it, if the event is the user's own `m.room.member`. */
  membershipAfter?: Membership | undefined
  /**
   * The user joined after the event, and may have left again. True for a user who is joined now and was not at the
   * event.
   */
  joinedLater: boolean
}

/**
 * Returns the visibility in an `m.room.history_visibility` event; `shared` if there is none or its value is unknown.
 * https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility
 */
export function historyVisibilityOf(content: JsonObject | undefined): HistoryVisibility {
  const value = content && Object.hasOwn(content, 'history_visibility') ? content.history_visibility : undefined
  return value === 'world_readable' || value === 'invited' || value === 'joined' ? value : 'shared'
}

/**
 * Whether a user may see an event: https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility. It covers
 * members, invited, former and banned users, peekers and guests: former members see events until their leave, because
 * rule 2 uses the membership at the event.
 */
export function isEventVisible(event: VisibilityAtEvent, user: UserAtEvent): boolean {
  return (
    isVisible(event.visibility, user.membership, user.joinedLater) ||
    (event.visibilityAfter !== undefined && isVisible(event.visibilityAfter, user.membership, user.joinedLater)) ||
    (user.membershipAfter !== undefined && isVisible(event.visibility, user.membershipAfter, user.joinedLater))
  )
}

/**
 * Whether a server may receive an event: at least one of its users may see it. `users`: its users in the room. The
 * caller checks separately that the server is in the room, if the endpoint requires it.
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
