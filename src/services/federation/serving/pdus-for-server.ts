import type { App } from '../../../app.ts'
import { redact } from '../../../core/events/redaction.ts'
import type { RoomId, ServerName, UserId } from '../../../core/ids.ts'
import type { Pdu } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import type { Membership } from '../../../core/rooms/membership.ts'
import {
  historyVisibilityOf,
  isEventVisibleToServer,
  type UserAtEvent,
  type VisibilityAtEvent,
} from '../../../core/rooms/visibility.ts'
import { loadUsersOfServer } from '../../../storage/rooms/membership/room-servers.ts'
import { readEventsOfStates } from '../../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { erasedFor, mayBeErased } from '../../rooms/reading/erased-events.ts'

/** The requesting server, and the room. */
export type AskingServer = { origin: ServerName; roomId: RoomId; version: RoomVersion }

/** Visibility is checked for this many of a server's users at once, and at most. */
const USERS_AT_ONCE = 50
const MAX_USERS = 1000

/**
 * Returns events of a room for another server that is in it, in the same order. Events that none of its users may see
 * are redacted, since the server needs them nevertheless.
 * https://spec.matrix.org/v1.19/server-server-api/#backfilling-and-retrieving-missing-events
 */
export async function pdusForServer(
  app: Pick<App, 'database'>,
  { origin, roomId, version }: AskingServer,
  events: readonly StoredEvent[],
): Promise<Pdu[]> {
  const visibilities = await visibilitiesOf(app, events)
  // Where later joins suffice, the current members may see everything.
  const joined: UserAtEvent = { membership: undefined, joinedLater: true }
  const isOpen = (place: number) => isEventVisibleToServer(visibilities[place]!, [joined])
  const closed = events.filter((_, place) => !isOpen(place))
  const seen = closed.length > 0 ? await seenByUsers(app, { origin, roomId }, closed) : new Set()
  const erased = await erasedForServer(app, { origin, roomId }, events)
  return events.map((event, place) =>
    (isOpen(place) || seen.has(event)) && !erased.has(event) ? event.pdu : redact(version, event.pdu),
  )
}

async function erasedForServer(
  app: Pick<App, 'database'>,
  { origin, roomId }: { origin: ServerName; roomId: RoomId },
  events: readonly StoredEvent[],
): Promise<ReadonlySet<StoredEvent>> {
  if (!mayBeErased(app, events)) return new Set()
  const users = await loadUsersOfServer(app.database, { roomId, server: origin, limit: USERS_AT_ONCE })
  return erasedFor(
    app,
    users.map(({ user_id }) => user_id),
    events,
  )
}

async function visibilitiesOf(
  app: Pick<App, 'database'>,
  events: readonly StoredEvent[],
): Promise<VisibilityAtEvent[]> {
  const key = { type: 'm.room.history_visibility', state_key: '' }
  const states = await readEventsOfStates(
    app.database,
    events.map((event) => ({ ...key, root: event.state_before ?? 0 })),
  )
  return events.map(({ pdu, state_before }, place) => {
    // Outliers are known as parts of states, which servers in the room get whole.
    if (state_before === null) return { visibility: 'shared' }
    const changes = pdu.type === key.type && pdu.state_key === ''
    return {
      visibility: historyVisibilityOf(states[place]?.pdu.content),
      ...(changes && { visibilityAfter: historyVisibilityOf(pdu.content) }),
    }
  })
}

/** Returns the events with restricted history that some user of the server was there to see. */
async function seenByUsers(
  app: Pick<App, 'database'>,
  { origin, roomId }: { origin: ServerName; roomId: RoomId },
  events: readonly StoredEvent[],
): Promise<Set<StoredEvent>> {
  const users = await loadUsersOfServer(app.database, { roomId, server: origin, limit: MAX_USERS })
  const seen = new Set<StoredEvent>()
  const visibilities = await visibilitiesOf(app, events)
  for (let start = 0; start < users.length && seen.size < events.length; start += USERS_AT_ONCE) {
    const some = users.slice(start, start + USERS_AT_ONCE).map(({ user_id }) => user_id)
    const left = events.filter((event) => !seen.has(event))
    const members = await readEventsOfStates(
      app.database,
      left.flatMap((event) =>
        some.map((user) => ({ type: 'm.room.member', state_key: user, root: event.state_before ?? 0 })),
      ),
    )
    for (const [place, event] of left.entries()) {
      const before = members.slice(place * some.length, (place + 1) * some.length)
      const present = some.map((user, index) => userAt(event, user, before[index]))
      if (isEventVisibleToServer(visibilities[events.indexOf(event)]!, present)) seen.add(event)
    }
  }
  return seen
}

function userAt({ pdu }: StoredEvent, userId: UserId, member: StoredEvent | undefined): UserAtEvent {
  const isOwn = pdu.type === 'm.room.member' && pdu.state_key === userId
  return {
    membership: member?.pdu.content.membership as Membership | undefined,
    ...(isOwn && { membershipAfter: pdu.content.membership as Membership }),
    joinedLater: false,
  }
}
