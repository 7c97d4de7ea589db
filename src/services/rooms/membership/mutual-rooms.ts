import type { App } from '../../../app.ts'
import { InvalidParamError } from '../../../core/errors.ts'
import { isRoomId, type RoomId, type UserId } from '../../../core/ids.ts'
import { loadMutualRooms } from '../../../storage/lookup/mutual-rooms.ts'

export type MutualRooms = { joined: RoomId[]; count: number; next_batch?: string }

const PAGE = 500

/**
 * The rooms that a user has joined together with another, who need not exist. `from`: `next_batch` of another answer.
 * Throws M_INVALID_PARAM for a token that is not ours, and for asking about oneself.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mutual_rooms
 */
export async function listMutualRooms(
  app: Pick<App, 'database'>,
  { userId, other, from }: { userId: UserId; other: UserId; from?: string | undefined },
): Promise<MutualRooms> {
  if (other === userId) throw new InvalidParamError('user_id: is your own')
  if (from !== undefined && !isRoomId(from)) throw new InvalidParamError('from: is not a token of this list')
  // One more than a page tells whether there is another page.
  const { count, rooms } = await loadMutualRooms(app.database, { users: [userId, other], from, limit: PAGE + 1 })
  const joined = rooms.slice(0, PAGE)
  return { joined, count, ...(rooms.length > PAGE && { next_batch: joined.at(-1)! }) }
}
