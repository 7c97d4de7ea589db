import { isRoomId, type RoomId, type UserId } from '../../../core/ids.ts'
import type { Db } from '../../../storage/engine/database.ts'
import { findAccountData } from '../../../storage/users/account-data.ts'
import { type CacheSources, cacheLoads } from '../answers/cache-loads.ts'

/** Returns the rooms in a user's `m.direct`: https://spec.matrix.org/v1.19/client-server-api/#direct-messaging */
export type DirectRooms = (userId: UserId) => Promise<ReadonlySet<RoomId>>

export function createDirectRooms(sources: CacheSources): DirectRooms {
  return cacheLoads(sources, {
    load: loadDirectRooms,
    placeOf: (userId) => userId,
    changedBy: ({ kind, user_id, room_id, detail }) =>
      kind === 'account_data' && room_id === null && detail === 'm.direct' ? (user_id ?? undefined) : undefined,
  })
}

async function loadDirectRooms(db: Db, userId: UserId): Promise<ReadonlySet<RoomId>> {
  const content = await findAccountData(db, userId, { roomId: '', type: 'm.direct' })
  const byUser: unknown[] = content === undefined ? [] : Object.values(JSON.parse(content))
  return new Set(
    byUser.flatMap((rooms) =>
      Array.isArray(rooms) ? rooms.filter((room) => typeof room === 'string' && isRoomId(room)) : [],
    ),
  )
}
