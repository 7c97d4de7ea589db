import type { RoomId, UserId } from '../../../core/ids.ts'
import { forgetUnsharedLists } from '../../../storage/devices/remote-devices.ts'
import type { Tx } from '../../../storage/engine/database.ts'
import type { NewEdu } from '../../../storage/federation/federation-outbox.ts'
import { loadRowsForServers, lockProgress, storeProgress } from '../../../storage/federation/federation-progress.ts'
import { loadJoinedOfServer } from '../../../storage/rooms/membership/joined-room-members.ts'
import { filterPartialRooms } from '../../../storage/rooms/membership/partial-rooms.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import { queueWithinLimit } from '../../devices/queue-edus.ts'
import { changedDeviceEdus, devicesForNewServers } from './device-list-edus.ts'
import type { FollowingApp } from './following-app.ts'
import { type MemberMove, memberMoves } from './member-moves.ts'
import { changedPresenceEdus, presenceForNewServers } from './presence-edus.ts'
import { receiptEdus } from './receipt-edus.ts'
import { typingEdus } from './typing-edus.ts'

const ROWS_AT_ONCE = 500

/**
 * Converts the next stream rows about local users into EDUs for other servers, in one transaction with the position.
 * Returns whether there is more work for this process; false also while another process does it.
 */
export async function queueStreamEdus(app: FollowingApp): Promise<boolean> {
  return app.database.writeLazily(async (tx) => {
    const position = await lockProgress(tx)
    if (position === undefined) return false
    const { rows, to } = await loadRowsForServers(tx, position, ROWS_AT_ONCE)
    if (to <= position) return false
    const edus = await edusOf(app, tx, rows)
    await queueWithinLimit(app, tx, edus)
    await storeProgress(tx, to)
    return rows.length === ROWS_AT_ONCE
  })
}

async function edusOf(app: FollowingApp, tx: Tx, rows: readonly StreamRow[]): Promise<NewEdu[]> {
  const moves = await memberMoves(tx, app.serverName, rows)
  if (moves.length > 0) await forgetUnsharedLists(tx, moves)
  return [
    ...(await typingEdus(app, tx, rows)),
    ...(await receiptEdus(app, tx, rows)),
    ...(await changedPresenceEdus(app, tx, rows)),
    ...(await presenceForNewServers(app, tx, moves)),
    ...(await changedDeviceEdus(app, tx, rows)),
    ...(await devicesForNewServers(app, tx, await ownArrivals(app, tx, { rows, moves }))),
  ]
}

/**
 * Returns the local users who joined rooms. In an encrypted room with partial state, its servers get the device lists
 * after the resync; other servers query devices when they need them.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/3902
 */
async function ownArrivals(
  app: FollowingApp,
  tx: Tx,
  { rows, moves }: { rows: readonly StreamRow[]; moves: readonly MemberMove[] },
): Promise<{ userId: UserId; roomId: RoomId }[]> {
  const joins = moves.filter((move) => move.isOurs && move.isJoined)
  const partial = await filterPartialRooms(tx, [...new Set(joins.map(({ roomId }) => roomId))])
  const completed = rows.flatMap(({ kind, room_id, detail }) =>
    kind === 'room_complete' && detail === 'encrypted' && room_id !== null ? room_id : [],
  )
  const present = await loadJoinedOfServer(tx, app.serverName, completed)
  return [...joins.filter(({ roomId }) => !partial.has(roomId)), ...present]
}
