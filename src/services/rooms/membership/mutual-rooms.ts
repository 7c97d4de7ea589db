import type { App } from '../../../app.ts'
import { InvalidParamError } from '../../../core/errors.ts'
import { isRoomId, type RoomId, type UserId } from '../../../core/ids.ts'
import { loadMutualRooms } from '../../../storage/lookup/mutual-rooms.ts'

export type MutualRooms = { joined: RoomId[]; count: number; next_batch?: string }

const PAGE = 500

/**
 * Lists the rooms that a user and another, possibly unknown, user have both joined. `from`: `next_batch` of a previous
 * response. Throws M_INVALID_PARAM for a malformed token, and if both users are the same.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mutual_rooms
 */
export async function listMutualRooms(
  app: Pick<App, 'database'>,
  { userId, other, from }: { userId: UserId; other: UserId; from?: string | undefined },
): Promise<MutualRooms> {
  if (other === userId) throw new InvalidParamError('user_id: is your own')
  if (from !== undefined && !isRoomId(from)) throw new InvalidParamError('from: is not a token of this list')
  // One more row than a page shows whether there is another page.
  const { count, rooms } = await loadMutualRooms(app.database, { users: [userId, other], from, limit: PAGE + 1 })
  const joined = rooms.slice(0, PAGE)
  return { joined, count, ...(rooms.length > PAGE && { next_batch: joined.at(-1)! }) }
}
