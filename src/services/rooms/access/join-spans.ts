import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { findMemberships } from '../../../storage/rooms/membership/room-memberships.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import { readStateEvent } from '../../../storage/rooms/timeline/room-state.ts'
import type { RoomMembershipRow } from '../../../storage/schema/rooms.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'

/** The last period in which a user was joined to a room. */
export type JoinSpan = {
  /** event_order of the last `join` event of that period; infinite while the user is joined. */
  lastJoinOrder: number
  /** The event that ended it; undefined while the user is joined. */
  end: StoredEvent | undefined
}

/** Loads a user's last joined period in each of these rooms; rooms that the user never joined are absent. */
export async function loadJoinSpans(
  app: Pick<App, 'database'>,
  userId: UserId,
  roomIds: ReadonlySet<RoomId>,
): Promise<Map<RoomId, JoinSpan>> {
  if (roomIds.size === 0) return new Map()
  const spans = new Map<RoomId, JoinSpan>()
  for (const membership of await findMemberships(app.database, userId, [...roomIds])) {
    const span = await joinSpanOf(app, membership)
    if (span) spans.set(membership.room_id, span)
  }
  return spans
}

/**
 * Returns the last joined period of a user with this current membership. A user who has forgotten a room has none.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidforget
 */
export async function joinSpanOf(
  app: Pick<App, 'database'>,
  membership: RoomMembershipRow,
): Promise<JoinSpan | undefined> {
  if (membership.forgotten) return undefined
  if (membership.membership === 'join') return { lastJoinOrder: Number.POSITIVE_INFINITY, end: undefined }
  return lastJoinBefore(app, (await loadEvents(app.database, [membership.event_nid])).get(membership.event_nid))
}

/**
 * Returns the last joined period of a user whose `m.room.member` event in some state is this one; undefined if there
 * was none by then.
 */
export async function lastJoinBefore(
  app: Pick<App, 'database'>,
  member: StoredEvent | undefined,
): Promise<JoinSpan | undefined> {
  if (member?.pdu.content.membership === 'join') return { lastJoinOrder: Number.POSITIVE_INFINITY, end: undefined }
  let later = member
  // From leave back over ban, invite or knock to the join before them: seldom more than two steps.
  while (later?.state_before) {
    const earlier = await readStateEvent(app.database, later.state_before, 'm.room.member', later.pdu.state_key)
    if (earlier?.pdu.content.membership === 'join') return { lastJoinOrder: earlier.event_order ?? 0, end: later }
    later = earlier
  }
  return undefined
}
