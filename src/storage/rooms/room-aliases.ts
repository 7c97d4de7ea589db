import { sql } from 'kysely'
import type { RoomAlias, RoomId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { appendToStream } from '../engine/stream-append.ts'

/** An alias of this server, and who made it. */
export type RoomAliasRow = { room_alias: RoomAlias; room_id: RoomId; creator: UserId }

/** The name of the constraint that keeps aliases unique, for `violatesUnique`. */
export const ROOM_ALIAS_KEY = 'room_aliases_pkey'

/** What an alias of this server points to; undefined when there is no such alias. */
export async function findLocalAlias(db: Db, alias: RoomAlias): Promise<RoomAliasRow | undefined> {
  return db.sql.selectFrom('room_aliases').selectAll().where('room_alias', '=', alias).executeTakeFirst()
}

/** Those of some aliases that point to a room. */
export async function filterAliasesOf(db: Db, roomId: RoomId, aliases: readonly string[]): Promise<Set<string>> {
  const { rows } = await sql<{ room_alias: string }>`select room_alias from room_aliases
    where room_id = ${roomId} and room_alias = any(${aliases}::text[])`.execute(db.sql)
  return new Set(rows.map((row) => row.room_alias))
}

/** The aliases of this server that point to a room, in the order of their names. */
export async function loadRoomAliases(db: Db, roomId: RoomId): Promise<RoomAlias[]> {
  const { rows } = await sql<{ room_alias: RoomAlias }>`select room_alias from room_aliases
    where room_id = ${roomId} order by room_alias`.execute(db.sql)
  return rows.map((row) => row.room_alias)
}

/** How many aliases of this server point to a room; with a lock, so that two transactions do not add the last one both. */
export async function countRoomAliases(tx: Tx, roomId: RoomId): Promise<number> {
  await sql`select pg_advisory_xact_lock(hashtext('room_aliases'), hashtext(${roomId}))`.execute(tx.sql)
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from room_aliases
    where room_id = ${roomId}`.execute(tx.sql)
  return rows[0]!.count
}

/** Adds an alias. Violates `ROOM_ALIAS_KEY` when it is taken. */
export async function insertRoomAlias(tx: Tx, alias: RoomAliasRow): Promise<void> {
  await tx.sql.insertInto('room_aliases').values(alias).execute()
  appendToStream(tx, { kind: 'alias', detail: alias.room_id })
}

/** Removes an alias, if it still points to that room. */
export async function deleteAlias(tx: Tx, { room_alias, room_id }: RoomAliasRow): Promise<void> {
  await tx.sql.deleteFrom('room_aliases').where('room_alias', '=', room_alias).where('room_id', '=', room_id).execute()
  appendToStream(tx, { kind: 'alias', detail: room_id })
}

/** All aliases of this server. */
export function loadAllAliases(db: Db): Promise<Pick<RoomAliasRow, 'room_alias' | 'room_id'>[]> {
  return db.sql.selectFrom('room_aliases').select(['room_alias', 'room_id']).execute()
}
