import type { App } from '../../../app.ts'
import type { RoomId } from '../../../core/ids.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { beginRoomJoin, endRoomJoin } from '../../../storage/rooms/membership/room-joins.ts'
import { type InboxApp, inboxOf } from '../inbound/work-inbox.ts'

/** Longer than other servers take to hand over even the largest rooms. */
const LONGEST_JOIN_MS = 900_000

/**
 * Joins a room. The other servers know of the join before we have the room; what they send of it meanwhile waits in the
 * inbox, to be worked off afterwards.
 */
export async function whileJoining<Result>(
  app: InboxApp & Pick<App, 'database'>,
  { roomId, version }: { roomId: RoomId; version: RoomVersion },
  join: () => Promise<Result>,
): Promise<Result> {
  const one = { roomId, joinId: app.random.token(12) }
  const expiresTs = app.clock.now() + LONGEST_JOIN_MS
  await app.database.writeLazily((tx) => beginRoomJoin(tx, { ...one, version, expiresTs }))
  try {
    return await join()
  } finally {
    // Whoever has joined need not wait for it.
    endJoining(app, one).catch((error) => app.logger.warn({ err: error }, 'taking in events failed; it is tried again'))
  }
}

async function endJoining(
  app: InboxApp & Pick<App, 'database'>,
  one: { roomId: RoomId; joinId: string },
): Promise<void> {
  await app.database.writeLazily((tx) => endRoomJoin(tx, one, app.clock.now()))
  await inboxOf(app).look()
}
