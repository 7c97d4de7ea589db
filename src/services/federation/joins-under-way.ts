import { setTimeout as pause } from 'node:timers/promises'
import type { App } from '../../app.ts'
import type { RoomId } from '../../core/ids.ts'
import { beginRoomJoin, endRoomJoin, isAnyBeingJoined } from '../../storage/room-joins.ts'

/** Longer than other servers take to hand over even the largest rooms. */
const LONGEST_JOIN_MS = 900_000
const LONGEST_WAIT_MS = 30_000
const LOOK_MS = 50

/** Joins a room, while events of it that come already wait: see `awaitJoins`. */
export async function whileJoining<Result>(
  app: Pick<App, 'database' | 'clock'>,
  roomId: RoomId,
  join: () => Promise<Result>,
): Promise<Result> {
  await app.database.write((tx) => beginRoomJoin(tx, roomId, app.clock.now() + LONGEST_JOIN_MS))
  try {
    return await join()
  } finally {
    await app.database.write((tx) => endRoomJoin(tx, roomId))
  }
}

/**
 * Waits while some process of this server joins one of these rooms, but not for ever. The other servers know of the join before we have the room,
 * and what they send then would otherwise be lost.
 */
export async function awaitJoins(
  app: Pick<App, 'database' | 'clock' | 'stopping'>,
  roomIds: readonly RoomId[],
): Promise<void> {
  const end = app.clock.now() + LONGEST_WAIT_MS
  while (await isAnyBeingJoined(app.database, roomIds, app.clock.now())) {
    if (app.clock.now() > end || app.stopping.aborted) return
    await pause(LOOK_MS)
  }
}
