import type { App } from '../../app.ts'
import type { UserId } from '../../core/ids.ts'
import type { Db } from '../../storage/engine/database.ts'
import { readEventsOfStates } from '../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../storage/schema/stored-event.ts'
import { threadsOf } from '../rooms/reading/thread-of.ts'
import { judgeEvents } from './judge-events.ts'
import type { JudgedEvent } from './unread-room.ts'

/** Evaluates events for a user's unread counts. */
export async function judgeRoomEvents(
  app: Pick<App, 'config' | 'database' | 'push'>,
  userId: UserId,
  events: readonly StoredEvent[],
): Promise<JudgedEvent[]> {
  const verdicts = await judgeEvents(app, userId, events)
  const crossings = await crossingsAmong(app.database, userId, events)
  const threads = await threadsOf(
    app.database,
    events.filter((event, place) => verdicts[place]!.notify || event.pdu.sender === userId),
  )
  return events.map((event, place) => ({
    event,
    thread: threads.get(event) ?? 'main',
    verdict: verdicts[place]!,
    crossing: crossings.has(event),
  }))
}

/** Returns the events by which the user joins or leaves; from join to join only the profile changes. */
async function crossingsAmong(
  db: Db,
  userId: UserId,
  events: readonly StoredEvent[],
): Promise<ReadonlySet<StoredEvent>> {
  const own = events.filter(({ pdu }) => pdu.type === 'm.room.member' && pdu.state_key === userId)
  if (own.length === 0) return new Set()
  const before = await readEventsOfStates(
    db,
    own.map((event) => ({ root: event.state_before ?? 0, type: 'm.room.member', state_key: userId })),
  )
  const isJoin = (event: StoredEvent | undefined) => event?.pdu.content.membership === 'join'
  return new Set(own.filter((event, place) => !isJoin(event) || !isJoin(before[place])))
}
