import type { App } from '../../../app.ts'
import type { DeviceId, RoomId, UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { presenceContent } from '../../../core/presence-content.ts'
import { loadPresentUsers } from '../../../storage/presence/presence.ts'
import { loadRoomReceipts } from '../../../storage/rooms/receipts.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import { loadIgnoredUsers } from '../../../storage/users/ignored-users.ts'
import { receiptContents } from '../../rooms/sending/receipt-contents.ts'
import { answerBudget } from '../answers/answer-budget.ts'
import { compileSyncFilter } from '../answers/sync-filter.ts'
import { changedAccountData } from '../sections/sync-account-data.ts'
import { changedEphemeral } from '../sections/sync-ephemeral.ts'
import { presenceChanges } from '../sections/sync-presence.ts'

type Reading = Pick<App, 'config' | 'database' | 'clock' | 'stream'>

/** The data for a range of the stream: `rows` of these rooms and of the user. */
export type OldSpan = { rows: readonly StreamRow[]; from: number; to: number; rooms: ReadonlySet<RoomId> }

const EVERYTHING = compileSyncFilter({})

/**
 * Returns changes other than room events, in the format that preceded /sync: typing, receipts and room account data
 * with a `room_id`, and presence. `rooms`: the user's joined rooms.
 */
export async function oldNews(
  app: Reading,
  { userId, deviceId }: { userId: UserId; deviceId: DeviceId | null },
  { rows, from, to, rooms }: OldSpan,
): Promise<JsonObject[]> {
  const ignored = await loadIgnoredUsers(app.database, userId)
  const budget = answerBudget(app, { rooms: 1 })
  const viewer = { userId, deviceId, ignored, filter: EVERYTHING, stateAfter: undefined, budget }
  const changed = await app.stream.presencesBetween(from, to)
  const [ephemeral, accountData, { presence }] = await Promise.all([
    changedEphemeral(app, viewer, { rows, joined: rooms }),
    changedAccountData(app, viewer, rows, new Set()),
    presenceChanges(app, viewer, { changed, rows, joined: rooms, newlyJoined: new Set() }),
  ])
  const ofRooms = [...ephemeral, ...accountData.rooms].flatMap(([room_id, events]) =>
    events.map((event) => ({ ...event, room_id })),
  )
  const presences = (presence?.events ?? []).map((event) =>
    oldPresence(event.sender as UserId, event.content as JsonObject),
  )
  return [...ofRooms, ...accountData.global, ...presences] as JsonObject[]
}

/** Returns presence in some rooms, the user's included, as old-style `m.presence`. */
export async function oldPresences(app: Reading, userId: UserId, rooms: readonly RoomId[]): Promise<JsonObject[]> {
  if (!app.config.presence.enabled) return []
  const ignored = await loadIgnoredUsers(app.database, userId)
  const present = await loadPresentUsers(app.database, userId, rooms)
  const now = app.clock.now()
  return present
    .filter((row) => !ignored.has(row.user_id))
    .map((row) => oldPresence(row.user_id, presenceContent(row, now)))
}

/** Returns the receipts in some rooms that a user may see, as old-style `m.receipt`. */
export async function oldReceipts(
  app: Pick<App, 'database'>,
  userId: UserId,
  rooms: readonly RoomId[],
): Promise<JsonObject[]> {
  const ignored = await loadIgnoredUsers(app.database, userId)
  const receipts = (await loadRoomReceipts(app.database, rooms, userId)).filter((row) => !ignored.has(row.user_id))
  return [...Map.groupBy(receipts, ({ room_id }) => room_id)].flatMap(([room_id, ofRoom]) =>
    receiptContents(ofRoom).map((content) => ({ type: 'm.receipt', room_id, content: content as JsonObject })),
  )
}

/** Old clients read the user from the content. */
function oldPresence(sender: UserId, content: JsonObject): JsonObject {
  return { type: 'm.presence', sender, content: { ...content, user_id: sender } }
}
