import { sql } from 'kysely'
import type { RoomId } from '../../../core/ids.ts'
import { ROOM_VERSIONS, type RoomVersion } from '../../../core/room-versions.ts'
import type { Db, Tx } from '../../engine/database.ts'

type RoomJoin = { roomId: RoomId; joinId: string }

/** Records that this server is joining a room. */
export async function beginRoomJoin(
  tx: Tx,
  { roomId, joinId, version, expiresTs }: RoomJoin & { version: RoomVersion; expiresTs: number },
): Promise<void> {
  await sql`insert into room_joins (room_id, join_id, room_version, expires_ts)
    values (${roomId}, ${joinId}, ${version.id}, ${expiresTs}::bigint)`.execute(tx.sql)
}

/** Deletes the record of a finished join, successful or not, and those of dead processes. */
export async function endRoomJoin(tx: Tx, { roomId, joinId }: RoomJoin, now: number): Promise<void> {
  await sql`delete from room_joins
    where (room_id = ${roomId} and join_id = ${joinId}) or expires_ts <= ${now}::bigint`.execute(tx.sql)
}

/** Returns which of some rooms are being joined, with their versions. */
export async function loadRoomsBeingJoined(
  db: Db,
  roomIds: readonly RoomId[],
  now: number,
): Promise<Map<RoomId, RoomVersion>> {
  if (roomIds.length === 0) return new Map()
  const { rows } = await sql<{ room_id: RoomId; room_version: string }>`select room_id, room_version from room_joins
    where room_id = any(${roomIds}::text[]) and expires_ts > ${now}::bigint`.execute(db.sql)
  return new Map(
    rows.flatMap(({ room_id, room_version }) => {
      const version = ROOM_VERSIONS.get(room_version)
      return version ? [[room_id, version] as const] : []
    }),
  )
}
