import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { deleteRoomBlock, insertRoomBlock } from '../../../storage/rooms/room-blocks.ts'

/**
 * Blocks a room, or ends that: nobody can join a blocked room through this server or be invited to it. Its members
 * stay. The server need not know the room.
 */
export async function setBlocked(
  app: Pick<App, 'database' | 'clock'>,
  { roomId, by, blocked }: { roomId: RoomId; by: UserId; blocked: boolean },
): Promise<void> {
  const now = app.clock.now()
  await app.database.write((tx) => (blocked ? insertRoomBlock(tx, { roomId, by, now }) : deleteRoomBlock(tx, roomId)))
}
