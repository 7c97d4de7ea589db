import { type RoomId, serverNameOf, type UserId } from '../../../core/ids.ts'
import type { Db } from '../../../storage/engine/database.ts'
import type { NewEdu } from '../../../storage/federation/federation-outbox.ts'
import { loadOtherServers } from '../../../storage/rooms/membership/other-servers.ts'
import { loadReceiptsOf } from '../../../storage/rooms/receipts.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import type { FollowingApp } from './following-app.ts'

const NOBODY = '' as UserId

/**
 * Returns EDUs for receipts of local users, for the other servers in their rooms; never private receipts.
 * https://spec.matrix.org/v1.19/server-server-api/#receipts
 */
export async function receiptEdus(
  app: Pick<FollowingApp, 'serverName'>,
  db: Db,
  rows: readonly StreamRow[],
): Promise<NewEdu[]> {
  const moved = new Map<string, { roomId: RoomId; userId: UserId; orders: Set<number | null> }>()
  for (const { kind, room_id: roomId, ref, detail } of rows) {
    if (kind !== 'receipt' || roomId === null || detail === null) continue
    const userId = detail as UserId
    if (serverNameOf(userId) !== app.serverName) continue
    const known = moved.get(`${roomId} ${userId}`) ?? { roomId, userId, orders: new Set() }
    moved.set(`${roomId} ${userId}`, known)
    known.orders.add(ref)
  }
  if (moved.size === 0) return []
  const servers = await loadOtherServers(db, [...new Set([...moved.values()].map(({ roomId }) => roomId))])
  const owners = [...moved.values()].filter(({ roomId }) => servers.has(roomId))
  const receipts = await loadReceiptsOf(db, owners, NOBODY)
  return receipts.flatMap(({ room_id, user_id, thread_id, event_id, ts }) => {
    const data = { ts, ...(thread_id !== '' && { thread_id }) }
    const content = { [room_id]: { 'm.read': { [user_id]: { event_ids: [event_id], data } } } }
    const key = `m.receipt ${room_id} ${user_id} ${thread_id}`
    return (servers.get(room_id) ?? []).map((destination) => ({ destination, type: 'm.receipt', content, key }))
  })
}
