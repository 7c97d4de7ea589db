import type { App } from '../../../app.ts'
import type { RoomId } from '../../../core/ids.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { beginRoomJoin, endRoomJoin } from '../../../storage/rooms/membership/room-joins.ts'

/** Longer than other servers take to send even the largest rooms. */
const LONGEST_JOIN_MS = 900_000

/**
 * Joins a room. Other servers know of the join before this server has the room; events that they send in the meantime
 * wait in the inbox.
 */
export async function whileJoining<Result>(
  app: Pick<App, 'database' | 'clock' | 'random' | 'logger' | 'inbound'>,
  { roomId, version }: { roomId: RoomId; version: RoomVersion },
  join: () => Promise<Result>,
): Promise<Result> {
  const one = { roomId, joinId: app.random.token(12) }
  const expiresTs = app.clock.now() + LONGEST_JOIN_MS
  await app.database.writeLazily((tx) => beginRoomJoin(tx, { ...one, version, expiresTs }))
  try {
    return await join()
  } finally {
    // The join does not wait for it.
    endJoining(app, one).catch((error) => app.logger.warn({ err: error }, 'processing of inbox failed, will retry'))
  }
}

async function endJoining(
  app: Pick<App, 'database' | 'clock' | 'random' | 'logger' | 'inbound'>,
  one: { roomId: RoomId; joinId: string },
): Promise<void> {
  await app.database.writeLazily((tx) => endRoomJoin(tx, one, app.clock.now()))
  await app.inbound.inbox.look()
}
