import type { App } from '../../../app.ts'
import { stickyUntil } from '../../../core/events/sticky.ts'
import type { UserId } from '../../../core/ids.ts'
import type { Membership } from '../../../core/rooms/membership.ts'
import {
  historyVisibilityOf,
  isEventVisible,
  type UserAtEvent,
  type VisibilityAtEvent,
} from '../../../core/rooms/visibility.ts'
import { findMemberships } from '../../../storage/rooms/membership/room-memberships.ts'
import { loadStickyUntil } from '../../../storage/rooms/sticky-events.ts'
import { readEventsOfStates } from '../../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { loadJoinSpans } from '../access/join-spans.ts'
import type { RoomAccess } from '../access/room-access.ts'
import { expiredAmong } from './expired-events.ts'

/**
 * Filters events of any rooms to those that a user may see and that have not expired, in the same order. Does not check access to the room: see
 * room-access.ts. Reads each distinct state once, and the user's memberships only if needed.
 * https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility
 */
export async function visibleEvents(
  app: Pick<App, 'database' | 'clock' | 'config'>,
  userId: UserId,
  stored: readonly StoredEvent[],
): Promise<StoredEvent[]> {
  const expired = await expiredAmong(app, stored)
  const events = expired.size === 0 ? stored : stored.filter((event) => !expired.has(event))
  const states = await statesBefore(app, userId, events)
  const verdicts = events.map((event) => verdictOn(event, userId, states))
  const undecided = events.filter((_, place) => verdicts[place] === 'if-joined-later')
  const spans = await loadJoinSpans(app, userId, new Set(undecided.map((event) => event.room_id)))
  const isVisible = events.map((event, place) => {
    if (verdicts[place] !== 'if-joined-later') return verdicts[place] === 'visible'
    const span = spans.get(event.room_id)
    return span !== undefined && span.lastJoinOrder > event.event_order!
  })
  const sticky = await stickyForMembers(
    app,
    userId,
    events.filter((_, place) => !isVisible[place]),
  )
  return events.filter((event, place) => isVisible[place] || sticky.has(event))
}

/** As `visibleEvents`, for events of one room to which the user has this access. Administrators see its timeline. */
export async function visibleThrough(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  { access, userId }: { access: RoomAccess; userId: UserId },
  events: readonly StoredEvent[],
): Promise<readonly StoredEvent[]> {
  if (access.as !== 'administrator') return visibleEvents(app, userId, events)
  return events.filter(({ event_order }) => event_order !== null)
}

/**
 * Returns the events that are sticky now, and whose room the user is in: history visibility does not apply to them.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4354
 */
async function stickyForMembers(
  { database, clock }: Pick<App, 'config' | 'database' | 'clock'>,
  userId: UserId,
  events: readonly StoredEvent[],
): Promise<ReadonlySet<StoredEvent>> {
  const now = clock.now()
  const candidates = events.filter(
    ({ pdu, event_order }) => event_order !== null && stickyUntil(pdu, now) !== undefined,
  )
  if (candidates.length === 0) return NONE
  const rooms = [...new Set(candidates.map(({ room_id }) => room_id))]
  const memberships = await findMemberships(database, userId, rooms)
  const joined = new Set(memberships.flatMap(({ room_id, membership }) => (membership === 'join' ? room_id : [])))
  const ends = await loadStickyUntil(
    database,
    candidates.map(({ event_nid }) => event_nid),
  )
  const isSticky = ({ event_nid, room_id }: StoredEvent) => joined.has(room_id) && (ends.get(event_nid) ?? 0) > now
  return new Set(candidates.filter(isSticky))
}

const NONE: ReadonlySet<StoredEvent> = new Set()

type StateBefore = { visibility: VisibilityAtEvent['visibility']; membership: Membership | undefined }

/** Keyed by state group. */
async function statesBefore(
  app: Pick<App, 'database'>,
  userId: UserId,
  events: readonly StoredEvent[],
): Promise<Map<number, StateBefore>> {
  const roots = [...new Set(events.flatMap((event) => event.state_before ?? []))]
  const found = await readEventsOfStates(
    app.database,
    roots.flatMap((root) => [
      { root, type: 'm.room.history_visibility', state_key: '' },
      { root, type: 'm.room.member', state_key: userId },
    ]),
  )
  return new Map(
    roots.map((root, place) => [
      root,
      {
        visibility: historyVisibilityOf(found[place * 2]?.pdu.content),
        membership: found[place * 2 + 1]?.pdu.content.membership as Membership | undefined,
      },
    ]),
  )
}

type Verdict = 'visible' | 'hidden' | 'if-joined-later'

function verdictOn(event: StoredEvent, userId: UserId, states: Map<number, StateBefore>): Verdict {
  const before = event.state_before === null ? undefined : states.get(event.state_before)
  if (!before || event.event_order === null) return 'hidden'
  const { type, state_key, content } = event.pdu
  const at: VisibilityAtEvent = {
    visibility: before.visibility,
    ...(type === 'm.room.history_visibility' && state_key === '' && { visibilityAfter: historyVisibilityOf(content) }),
  }
  const user: Omit<UserAtEvent, 'joinedLater'> = {
    membership: before.membership,
    ...(type === 'm.room.member' && state_key === userId && { membershipAfter: content.membership as Membership }),
  }
  if (isEventVisible(at, { ...user, joinedLater: false })) return 'visible'
  return isEventVisible(at, { ...user, joinedLater: true }) ? 'if-joined-later' : 'hidden'
}
