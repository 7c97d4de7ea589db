import { sql } from 'kysely'
import type { RoomId } from '../core/ids.ts'
import { ROOM_VERSIONS, type RoomVersion } from '../core/room-versions.ts'
import type { Db } from './database.ts'

/** The versions of rooms, which never change: from the cache, the rest in one query. Rooms that this server does not have are absent. */
export async function loadRoomVersions(db: Db, roomIds: Iterable<RoomId>): Promise<Map<RoomId, RoomVersion>> {
  const found = new Map<RoomId, RoomVersion>()
  const absent: RoomId[] = []
  for (const roomId of new Set(roomIds)) {
    const cached = db.caches.roomVersions.get(roomId)
    if (cached) found.set(roomId, cached)
    else absent.push(roomId)
  }
  if (absent.length === 0) return found
  const { rows } = await sql<{ room_id: RoomId; room_version: string }>`select room_id, room_version from room_heads
    where room_id = any(${absent}::text[])`.execute(db.sql)
  for (const { room_id, room_version } of rows) {
    const version = ROOM_VERSIONS.get(room_version)
    if (!version) throw new Error(`room ${room_id} has the unknown version ${room_version}`)
    db.caches.roomVersions.set(room_id, version)
    found.set(room_id, version)
  }
  return found
}
