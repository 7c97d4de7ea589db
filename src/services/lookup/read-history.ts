import type { App } from '../../app.ts'
import type { RoomId } from '../../core/ids.ts'
import { paginationToken } from '../../core/pagination-token.ts'
import { loadEventsById } from '../../storage/rooms/timeline/events.ts'
import { loadMissingPrevs } from '../../storage/rooms/timeline/missing-prev-events.ts'
import { findRoomHead } from '../../storage/rooms/timeline/room-heads.ts'
import { type BackfillingApp, backfillRoom } from '../federation/inbound/backfill-room.ts'
import { type ContextCommand, type EventContext, readContext } from '../rooms/reading/read-context.ts'
import { type Messages, type MessagesCommand, readMessages } from '../rooms/reading/read-messages.ts'
import { orderOfToken } from '../rooms/reading/room-points.ts'

/** Maximum rounds of requests to other servers per page. */
const MAX_ROUNDS = 3
const MAX_GAPS = 100

type HistoryApp = BackfillingApp & Pick<App, 'config' | 'reading'>

/**
 * As `readMessages`; missing history is fetched from other servers in the room.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmessages
 */
export async function readHistory(app: HistoryApp, command: MessagesCommand): Promise<Messages> {
  const { roomId } = command
  let messages = await readMessages(app, command)
  if (command.direction === 'forwards') return readOn(app, command, messages)
  const upTo = (await topOf(app, command)) + 1
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const above = messages.end === undefined ? -Number.MAX_SAFE_INTEGER : await orderOfToken(app, roomId, messages.end)
    if (!(await backfillRoom(app, { roomId, above, upTo }))) break
    messages = await readMessages(app, command)
  }
  return messages.end === undefined ? withEnd(app, roomId, messages) : messages
}

/**
 * As `readContext`; missing events around the event are fetched.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidcontexteventid
 */
export async function readHistoryAround(app: HistoryApp, command: ContextCommand): Promise<EventContext> {
  const { roomId } = command
  let context = await readContext(app, command)
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const gaps = await nearestGaps(app, command, context)
    let isMore = false
    for (const upTo of gaps) if (await backfillRoom(app, { roomId, above: upTo - 1, upTo })) isMore = true
    if (!isMore) break
    context = await readContext(app, command)
  }
  return context
}

/** Returns the orders after the gaps nearest to an event, before and after it, within its context. */
async function nearestGaps(
  app: HistoryApp,
  { roomId, eventId }: ContextCommand,
  { start, end }: EventContext,
): Promise<number[]> {
  const [above, upTo] = [await orderOfToken(app, roomId, start), await orderOfToken(app, roomId, end)]
  const missing = await loadMissingPrevs(app.database, { roomId, above, upTo, limit: MAX_GAPS })
  if (missing.length === 0) return []
  const at = (await loadEventsById(app.database, [eventId]))[0]?.event_order ?? upTo
  const places = missing.map(({ referrer_order }) => referrer_order)
  return [places.find((place) => place <= at), places.findLast((place) => place > at)].filter(
    (place) => place !== undefined,
  )
}

/** Forwards, gaps within a page are filled once. */
async function readOn(app: HistoryApp, command: MessagesCommand, messages: Messages): Promise<Messages> {
  const { roomId, from } = command
  if (from === undefined || messages.chunk.length === 0) return messages
  const above = await orderOfToken(app, roomId, from)
  const upTo = messages.end === undefined ? Number.MAX_SAFE_INTEGER : await orderOfToken(app, roomId, messages.end)
  return (await backfillRoom(app, { roomId, above, upTo })) ? readMessages(app, command) : messages
}

/** If a gap that no server has filled yet precedes the page, the client may continue. It has passed gaps further up. */
async function withEnd(app: Pick<App, 'database'>, roomId: RoomId, messages: Messages): Promise<Messages> {
  const oldest = messages.chunk.at(-1)
  if (!oldest) return messages
  const upTo = (await loadEventsById(app.database, [oldest.event_id]))[0]?.event_order ?? 0
  const range = { roomId, above: -Number.MAX_SAFE_INTEGER, upTo, limit: 1 }
  const [gap] = await loadMissingPrevs(app.database, range)
  return gap ? { ...messages, end: paginationToken(gap.referrer_order - 1) } : messages
}

async function topOf(app: Pick<App, 'database'>, { roomId, from }: MessagesCommand): Promise<number> {
  if (from !== undefined) return orderOfToken(app, roomId, from)
  return ((await findRoomHead(app.database, roomId))?.next_order ?? 1) - 1
}
