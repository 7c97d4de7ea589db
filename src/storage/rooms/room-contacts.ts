import { sql } from 'kysely'
import type { RoomId, ServerName, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'

/** Returns the servers through which a user has a membership of a room that this server is not in. */
export async function loadRoomContacts(db: Db, roomId: RoomId, userId: UserId): Promise<ServerName[]> {
  const { rows } = await sql<{ server_name: ServerName }>`select server_name from room_contacts
    where room_id = ${roomId} and user_id = ${userId} order by server_name`.execute(db.sql)
  return rows.map((row) => row.server_name)
}

/** Records a server through which a user has a membership of a room. */
export async function addRoomContact(
  tx: Tx,
  contact: { roomId: RoomId; userId: UserId; serverName: ServerName },
): Promise<void> {
  await sql`insert into room_contacts (room_id, user_id, server_name)
    values (${contact.roomId}, ${contact.userId}, ${contact.serverName}) on conflict do nothing`.execute(tx.sql)
}

/** Deletes the contacts of a user without a membership of the room. */
export async function removeRoomContacts(tx: Tx, roomId: RoomId, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('room_contacts').where('room_id', '=', roomId).where('user_id', '=', userId).execute()
}
