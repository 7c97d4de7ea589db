import type { App } from '../../../app.ts'
import type { DeviceId, RoomId, UserId } from '../../../core/ids.ts'
import { paginationToken } from '../../../core/pagination-token.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { syncToken } from '../../../core/sync-token.ts'
import { findMembership, loadUserMemberships } from '../../../storage/rooms/membership/room-memberships.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import { readAllState } from '../../../storage/rooms/timeline/room-state.ts'
import type { RoomMembershipRow } from '../../../storage/schema/rooms.ts'
import { type AccountDataRow, loadAllAccountData } from '../../../storage/users/account-data.ts'
import { accessFullState } from '../../rooms/access/await-full-state.ts'
import { joinSpanOf } from '../../rooms/access/join-spans.ts'
import { directoryVisibility } from '../../rooms/directory/directory.ts'
import { serveEvents, serveStateEvents } from '../../rooms/reading/serve-events.ts'
import { readVisiblePage } from '../../rooms/reading/visible-pages.ts'
import { type AnswerBudget, answerBudget } from '../answers/answer-budget.ts'
import { oldPresences, oldReceipts } from './old-news.ts'

type Reading = Pick<App, 'config' | 'database' | 'clock' | 'stream' | 'stopping' | 'reading' | 'sync'>
type Reader = { userId: UserId; deviceId: DeviceId | null; limit: number }

/**
 * Returns a room's current state to members and peeking users; `messages.end` is also a token for /events. Throws
 * M_FORBIDDEN.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidinitialsync
 */
export async function roomInitialSync(
  app: Reading,
  { roomId, ...reader }: Reader & { roomId: RoomId },
): Promise<JsonObject> {
  // Taken first, so that nothing is lost between this response and /events.
  const end = syncToken(await app.stream.refresh())
  const { userId } = reader
  const accountData = await loadAllAccountData(app.database, userId)
  const room = await roomNow(app, reader, { roomId, end, accountData, budget: answerBudget(app, { rooms: 1 }) })
  // Peeking users do not see presence and receipts.
  const joined = room.membership === 'join' ? [roomId] : []
  return {
    ...room,
    presence: joined.length > 0 ? await oldPresences(app, userId, joined) : [],
    receipts: await oldReceipts(app, userId, joined),
  }
}

/** `end`: a token from before the room is read; `accountData`: the reader's, of all rooms. */
async function roomNow(
  app: Reading,
  reader: Reader,
  {
    roomId,
    end,
    accountData,
    budget,
  }: { roomId: RoomId; end: string; accountData: readonly AccountDataRow[]; budget: AnswerBudget },
): Promise<JsonObject> {
  const { userId, limit } = reader
  const access = await accessFullState(app, roomId, userId)
  const from = access.lastOrder
  const wanted = { access, userId, direction: 'backwards' as const, from, limit, filter: {}, bytes: budget.timeline }
  const page = await readVisiblePage(app, wanted)
  const state = await readAllState(app.database, access.stateRoot, 'all', budget.state)
  const membership = await findMembership(app.database, roomId, userId)
  const own = accountData.filter((piece) => piece.room_id === roomId)
  return {
    room_id: roomId,
    ...(membership && { membership: membership.membership }),
    messages: {
      ...(page.next !== undefined && { start: paginationToken(page.next) }),
      end,
      chunk: (await serveEvents(app, { ...reader, events: page.events.toReversed() })) as JsonObject[],
    },
    state: (await serveStateEvents(app, { ...reader, events: state })) as JsonObject[],
    visibility: await directoryVisibility(app, roomId),
    account_data: own.map(({ type, content }) => ({ type, content: JSON.parse(content) })),
  }
}

/**
 * Returns all rooms of a user, in the format that preceded /sync.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3initialsync
 */
export async function wholeInitialSync(
  app: Reading,
  { archived, ...reader }: Reader & { archived: boolean },
): Promise<JsonObject> {
  const end = syncToken(await app.stream.refresh())
  const memberships = await loadUserMemberships(
    app.database,
    reader.userId,
    archived ? ['join', 'invite', 'leave', 'ban'] : ['join', 'invite'],
  )
  const accountData = await loadAllAccountData(app.database, reader.userId)
  const rooms: JsonObject[] = []
  const budget = answerBudget(app, { rooms: memberships.length })
  const hidden = await app.sync.invites.unwantedByNid(
    reader.userId,
    memberships.flatMap(({ membership, event_nid }) => (membership === 'join' ? [] : event_nid)),
  )
  for (const row of memberships) {
    if (hidden.has(row.room_id)) continue
    if (row.membership === 'invite') rooms.push(...(await invitation(app, reader, row)))
    else if (row.membership === 'join' || (await joinSpanOf(app, row)))
      rooms.push(await roomNow(app, reader, { roomId: row.room_id, end, accountData, budget }))
    // For a room that the user never joined, as after a rejected invite, there is nothing else.
    else rooms.push({ room_id: row.room_id, membership: row.membership })
  }
  const joined = memberships.flatMap((row) => (row.membership === 'join' ? row.room_id : []))
  const own = accountData.filter(({ room_id }) => room_id === '')
  return {
    end,
    rooms,
    presence: await oldPresences(app, reader.userId, joined),
    receipts: await oldReceipts(app, reader.userId, joined),
    account_data: own.map(({ type, content }) => ({ type, content: JSON.parse(content) })),
  }
}

/** Returns a room to which the user is invited. */
async function invitation(
  app: Reading,
  reader: Reader,
  { room_id: roomId, event_nid }: RoomMembershipRow,
): Promise<JsonObject[]> {
  const event = (await loadEvents(app.database, [event_nid])).get(event_nid)
  if (!event) return []
  const [invite] = await serveStateEvents(app, { ...reader, events: [event] })
  return [{ room_id: roomId, membership: 'invite', invite: invite as JsonObject }]
}
