import { sql } from 'kysely'
import type { RoomId } from '../../../core/ids.ts'
import { ROOM_VERSIONS, type RoomVersion } from '../../../core/room-versions.ts'
import type { Db, Tx } from '../../engine/database.ts'

/**
 * Returns the versions of rooms, which never change: from the cache, and the rest in one query. For rooms that this
 * server is not in, the version is that reported by other servers; unknown rooms are absent.
 */
export async function loadRoomVersions(db: Db, roomIds: Iterable<RoomId>): Promise<Map<RoomId, RoomVersion>> {
  const found = new Map<RoomId, RoomVersion>()
  const absent: RoomId[] = []
  for (const roomId of new Set(roomIds)) {
    const cached = db.caches.roomVersions.get(roomId)
    if (cached) found.set(roomId, cached)
    else absent.push(roomId)
  }
  if (absent.length === 0) return found
  const { rows } = await sql<{ room_id: RoomId; room_version: string; is_here: boolean }>`
    select room_id, room_version, true as is_here from room_heads where room_id = any(${absent}::text[])
    union all
    select room_id, room_version, false from out_of_band_rooms where room_id = any(${absent}::text[])
      and not exists (select 1 from room_heads where room_heads.room_id = out_of_band_rooms.room_id)`.execute(db.sql)
  for (const { room_id, room_version, is_here } of rows) {
    const version = ROOM_VERSIONS.get(room_version)
    if (!version) throw new Error(`room ${room_id} has the unknown version ${room_version}`)
    // A version that other servers report may be wrong.
    if (is_here) db.caches.roomVersions.set(room_id, version)
    found.set(room_id, version)
  }
  return found
}

/** Records the reported version of a room that this server is not in. */
export async function storeOutOfBandVersion(tx: Tx, roomId: RoomId, version: RoomVersion): Promise<void> {
  await sql`insert into out_of_band_rooms (room_id, room_version) values (${roomId}, ${version.id})
    on conflict (room_id) do update set room_version = excluded.room_version`.execute(tx.sql)
}
