import { sql } from 'kysely'
import type { RoomId } from '../../core/ids.ts'
import type { Tx } from '../engine/database.ts'

/** A third-party network that an application service bridges. */
export type Network = { appserviceId: string; networkId: string }

/** Adds a room to the directory of a third-party network. */
export async function insertNetworkRoom(tx: Tx, room: Network & { roomId: RoomId }): Promise<void> {
  await sql`insert into appservice_directory (room_id, appservice_id, network_id)
    values (${room.roomId}, ${room.appserviceId}, ${room.networkId}) on conflict do nothing`.execute(tx.sql)
}

/** Removes a room from the directory of a third-party network. */
export async function deleteNetworkRoom(tx: Tx, room: Network & { roomId: RoomId }): Promise<void> {
  await sql`delete from appservice_directory where room_id = ${room.roomId}
    and appservice_id = ${room.appserviceId} and network_id = ${room.networkId}`.execute(tx.sql)
}
