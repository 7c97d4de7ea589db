import { sql } from 'kysely'
import type { RoomAlias, RoomId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { appendToStream } from '../engine/stream-append.ts'

/** A local alias and its creator. */
export type RoomAliasRow = { room_alias: RoomAlias; room_id: RoomId; creator: UserId }

/** The unique constraint of aliases, for `violatesUnique`. */
export const ROOM_ALIAS_KEY = 'room_aliases_pkey'

/** Finds a local alias; undefined if it does not exist. */
export async function findLocalAlias(db: Db, alias: RoomAlias): Promise<RoomAliasRow | undefined> {
  return db.sql.selectFrom('room_aliases').selectAll().where('room_alias', '=', alias).executeTakeFirst()
}

/** Returns which of some aliases point to a room. */
export async function filterAliasesOf(db: Db, roomId: RoomId, aliases: readonly string[]): Promise<Set<string>> {
  const { rows } = await sql<{ room_alias: string }>`select room_alias from room_aliases
    where room_id = ${roomId} and room_alias = any(${aliases}::text[])`.execute(db.sql)
  return new Set(rows.map((row) => row.room_alias))
}

/** Returns the local aliases of a room, sorted by name. */
export async function loadRoomAliases(db: Db, roomId: RoomId): Promise<RoomAlias[]> {
  const { rows } = await sql<{ room_alias: RoomAlias }>`select room_alias from room_aliases
    where room_id = ${roomId} order by room_alias`.execute(db.sql)
  return rows.map((row) => row.room_alias)
}

/** Counts the local aliases of a room, with a lock, so that two transactions do not exceed the limit together. */
export async function countRoomAliases(tx: Tx, roomId: RoomId): Promise<number> {
  await sql`select pg_advisory_xact_lock(hashtext('room_aliases'), hashtext(${roomId}))`.execute(tx.sql)
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from room_aliases
    where room_id = ${roomId}`.execute(tx.sql)
  return rows[0]!.count
}

/** Adds an alias. Violates `ROOM_ALIAS_KEY` if it exists. */
export async function insertRoomAlias(tx: Tx, alias: RoomAliasRow): Promise<void> {
  await tx.sql.insertInto('room_aliases').values(alias).execute()
  appendToStream(tx, { kind: 'alias', detail: alias.room_id })
}

/** Deletes an alias, if it still points to that room. */
export async function deleteAlias(tx: Tx, { room_alias, room_id }: RoomAliasRow): Promise<void> {
  await tx.sql.deleteFrom('room_aliases').where('room_alias', '=', room_alias).where('room_id', '=', room_id).execute()
  appendToStream(tx, { kind: 'alias', detail: room_id })
}

/** Makes all local aliases of a room point to another one; returns them. */
export async function moveAliases(tx: Tx, from: RoomId, to: RoomId): Promise<RoomAlias[]> {
  const { rows } = await sql<{ room_alias: RoomAlias }>`update room_aliases set room_id = ${to}
    where room_id = ${from} returning room_alias`.execute(tx.sql)
  if (rows.length > 0) for (const detail of [from, to]) appendToStream(tx, { kind: 'alias', detail })
  return rows.map(({ room_alias }) => room_alias).sort()
}

/** Returns all local aliases. */
export function loadAllAliases(db: Db): Promise<Pick<RoomAliasRow, 'room_alias' | 'room_id'>[]> {
  return db.sql.selectFrom('room_aliases').select(['room_alias', 'room_id']).execute()
}
