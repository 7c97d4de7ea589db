import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { readEventsOfStates } from '../../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { loadErasures } from '../../../storage/users/erasures.ts'
import { lastJoinBefore } from '../access/join-spans.ts'

/**
 * Returns redacted copies of the events whose senders had them erased, unless one of `readers` was in the room to see
 * them before. State that describes the room, such as its name or encryption, stays unchanged. Costs nothing if no
 * sender was erased.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate
 */
export async function erasedFor(
  app: Pick<App, 'database'>,
  readers: readonly UserId[],
  events: readonly StoredEvent[],
): Promise<ReadonlySet<StoredEvent>> {
  const candidates = events.filter((event) => isOfErased(app, event))
  if (candidates.length === 0) return NONE
  const roots = await statesAtErasure(app, candidates)
  const erased = new Set(candidates)
  for (const reader of readers) {
    const member = { type: 'm.room.member', state_key: reader }
    const left = [...erased]
    const members = await readEventsOfStates(
      app.database,
      left.flatMap((event) => [
        { ...member, root: event.state_before ?? 0 },
        { ...member, root: roots.get(keyOf(event)) ?? 0 },
      ]),
    )
    for (const [place, event] of left.entries()) {
      if (await wasThere(app, event, members[2 * place], members[2 * place + 1])) erased.delete(event)
    }
  }
  return erased
}

/** Returns whether `erasedFor` may change any of the events, without a query. */
export function mayBeErased(app: Pick<App, 'database'>, events: readonly StoredEvent[]): boolean {
  return events.some((event) => isOfErased(app, event))
}

const NONE: ReadonlySet<StoredEvent> = new Set()

function isOfErased({ database }: Pick<App, 'database'>, { pdu }: StoredEvent): boolean {
  return database.caches.erasedUsers.has(pdu.sender) && (pdu.state_key === undefined || pdu.type === 'm.room.member')
}

async function statesAtErasure(
  app: Pick<App, 'database'>,
  events: readonly StoredEvent[],
): Promise<Map<string, number>> {
  const users = [...new Set(events.map(({ pdu }) => pdu.sender))]
  const rooms = [...new Set<RoomId>(events.map((event) => event.room_id))]
  const rows = await loadErasures(app.database, users, rooms)
  return new Map(rows.map((row) => [`${row.room_id} ${row.user_id}`, row.state_root]))
}

function keyOf({ room_id, pdu }: StoredEvent): string {
  return `${room_id} ${pdu.sender}`
}

/**
 * Returns whether one of the readers was joined at the event, or joined after it and before the erasure, by their
 * membership at both times.
 */
async function wasThere(
  app: Pick<App, 'database'>,
  event: StoredEvent,
  atEvent: StoredEvent | undefined,
  atErasure: StoredEvent | undefined,
): Promise<boolean> {
  if (atEvent?.pdu.content.membership === 'join') return true
  const span = await lastJoinBefore(app, atErasure)
  return span !== undefined && span.lastJoinOrder > (event.event_order ?? Number.POSITIVE_INFINITY)
}
