import type { Appservice } from '../../core/appservice.ts'
import { hasUser } from '../../core/appservice.ts'
import type { UserId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { presenceContent } from '../../core/presence-content.ts'
import { filterRoommates } from '../../storage/appservices/appservices.ts'
import { loadPresenceOf } from '../../storage/presence/presence.ts'
import { loadReceiptsOf } from '../../storage/rooms/receipts.ts'
import { loadTypingUsers, MOST_TYPING } from '../../storage/rooms/typing.ts'
import { receiptContents } from '../rooms/sending/receipt-contents.ts'
import type { News } from './gather-news.ts'
import type { TransactionApp } from './transaction-app.ts'

const NOBODY = '' as UserId

/**
 * Returns typing, receipts and presence as of now.
 * https://spec.matrix.org/v1.19/application-service-api/#pushing-ephemeral-data
 */
export async function ephemeralEvents(app: TransactionApp, appservice: Appservice, news: News): Promise<JsonObject[]> {
  return [
    ...(await typingEvents(app, news)),
    ...(await receiptEvents(app, news)),
    ...(await presenceEvents(app, appservice, news)),
  ]
}

async function typingEvents(app: TransactionApp, { typing }: News): Promise<JsonObject[]> {
  if (typing.size === 0) return []
  const users = await loadTypingUsers(app.database, [...typing], app.clock.now())
  return [...typing].map((room_id) => ({
    type: 'm.typing',
    room_id,
    content: { user_ids: (users.get(room_id) ?? []).slice(0, MOST_TYPING) },
  }))
}

async function receiptEvents(app: TransactionApp, { receipts }: News): Promise<JsonObject[]> {
  const ofPublic = [...receipts.values()].filter(({ isPrivate }) => !isPrivate)
  const found = ofPublic.length > 0 ? await loadReceiptsOf(app.database, ofPublic, NOBODY) : []
  for (const owner of receipts.values()) {
    if (!owner.isPrivate) continue
    const own = await loadReceiptsOf(app.database, [owner], owner.userId)
    found.push(...own.filter((row) => row.receipt_type === 'm.read.private'))
  }
  const byRoom = Map.groupBy(found, (row) => row.room_id)
  return [...byRoom].flatMap(([room_id, rows]) =>
    receiptContents(rows).map((content) => ({ type: 'm.receipt', room_id, content })),
  )
}

/** Returns presence of the application service's users, and of users who share a room with one. */
async function presenceEvents(app: TransactionApp, appservice: Appservice, news: News): Promise<JsonObject[]> {
  if (news.presence.size === 0 || !app.config.presence.enabled) return []
  const others = [...news.presence].filter((userId) => !hasUser(appservice, userId))
  const roommates = await filterRoommates(app.database, appservice.id, { ...news, userIds: others })
  const relevant = [...news.presence].filter((userId) => roommates.has(userId) || hasUser(appservice, userId))
  const now = app.clock.now()
  return (await loadPresenceOf(app.database, relevant)).map((row) => ({
    type: 'm.presence',
    sender: row.user_id,
    content: presenceContent(row, now),
  }))
}
