import { sql } from 'kysely'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { appendToStream } from '../engine/stream-append.ts'
import type { UserTables } from '../schema/users.ts'

/** Names a piece of account data; `roomId` is '' for global ones. */
export type AccountDataKey = { roomId: RoomId | ''; type: string }

/** A piece of account data; `content` is JSON text, to be served as it is. */
export type AccountDataRow = Omit<UserTables['account_data'], 'user_id'>

/** The content (JSON text) of one piece; undefined when it is not set. */
export async function findAccountData(
  db: Db,
  userId: UserId,
  { roomId, type }: AccountDataKey,
): Promise<string | undefined> {
  const { rows } = await sql<{ content: string }>`select content from account_data
    where user_id = ${userId} and room_id = ${roomId} and type = ${type}`.execute(db.sql)
  return rows[0]?.content
}

/** Everything that a user has stored, global and of all rooms. */
export async function loadAllAccountData(db: Db, userId: UserId): Promise<AccountDataRow[]> {
  const { rows } = await sql<AccountDataRow>`select room_id, type, content from account_data
    where user_id = ${userId} order by room_id, type`.execute(db.sql)
  return rows
}

/** All pieces of one type, those of rooms as well as the global one. */
export async function loadAccountDataOfType(db: Db, userId: UserId, type: string): Promise<AccountDataRow[]> {
  const { rows } = await sql<AccountDataRow>`select room_id, type, content from account_data
    where user_id = ${userId} and type = ${type}`.execute(db.sql)
  return rows
}

/** Everything that a user has stored for some rooms; '' stands for the global ones. */
export async function loadAccountDataOfRooms(
  db: Db,
  userId: UserId,
  roomIds: readonly (RoomId | '')[],
): Promise<AccountDataRow[]> {
  if (roomIds.length === 0) return []
  const { rows } = await sql<AccountDataRow>`select room_id, type, content from account_data
    where user_id = ${userId} and room_id = any(${roomIds}::text[]) order by room_id, type`.execute(db.sql)
  return rows
}

/** Some pieces, such as those that stream rows name; ones that are not (any more) set are absent. */
export async function loadAccountData(
  db: Db,
  userId: UserId,
  keys: readonly AccountDataKey[],
): Promise<AccountDataRow[]> {
  if (keys.length === 0) return []
  const { rows } = await sql<AccountDataRow>`select room_id, type, content from account_data
    join (select distinct * from unnest(${keys.map((key) => key.roomId)}::text[], ${keys.map((key) => key.type)}::text[])
      as wanted(room_id, type)) as wanted using (room_id, type)
    where user_id = ${userId}`.execute(db.sql)
  return rows
}

/** Bytes that an entry counts for beside its text. */
const ENTRY_BYTES = 100

/** Returns the bytes of one piece (0: there is none), and of all others that the user has stored, with their names. */
export async function measureAccountData(
  db: Db,
  userId: UserId,
  { roomId, type }: AccountDataKey,
): Promise<{ own: number; others: number }> {
  const isOwn = sql`room_id = ${roomId} and type = ${type}`
  const { rows } = await sql<{ own: number; others: number }>`select
      coalesce(sum(bytes) filter (where is_own), 0)::float8 as own,
      coalesce(sum(bytes) filter (where not is_own), 0)::float8 as others
    from (select ${isOwn} as is_own, octet_length(content) + octet_length(type) + octet_length(room_id) + ${ENTRY_BYTES}::int as bytes
      from account_data where user_id = ${userId}) as entries`.execute(db.sql)
  return rows[0]!
}

/** Sets a piece of account data (`content` is JSON text) and tells the user's devices. */
export async function storeAccountData(
  tx: Tx,
  userId: UserId,
  { roomId, type, content }: AccountDataKey & { content: string },
): Promise<void> {
  await sql`insert into account_data (user_id, room_id, type, content) values (${userId}, ${roomId}, ${type}, ${content})
    on conflict (user_id, room_id, type) do update set content = excluded.content`.execute(tx.sql)
  noteChange(tx, userId, { roomId, type })
}

/** Removes a piece of account data and, if it was there, tells the user's devices: to them it is empty from then on. */
export async function deleteAccountData(tx: Tx, userId: UserId, { roomId, type }: AccountDataKey): Promise<void> {
  const result = await sql`delete from account_data
    where user_id = ${userId} and room_id = ${roomId} and type = ${type}`.execute(tx.sql)
  if (result.numAffectedRows === 1n) noteChange(tx, userId, { roomId, type })
}

/** Removes pieces of global account data that are there, likewise. */
export async function deleteGlobalAccountData(tx: Tx, userId: UserId, types: readonly string[]): Promise<void> {
  if (types.length === 0) return
  const { rows } = await sql<{ type: string }>`delete from account_data
    where user_id = ${userId} and room_id = '' and type = any(${types}::text[]) returning type`.execute(tx.sql)
  for (const { type } of rows) noteChange(tx, userId, { roomId: '', type })
}

/** Removes everything that a user has stored; for accounts that end. */
export async function deleteAllAccountData(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('account_data').where('user_id', '=', userId).execute()
}

function noteChange(tx: Tx, userId: UserId, { roomId, type }: AccountDataKey): void {
  appendToStream(tx, { kind: 'account_data', user_id: userId, room_id: roomId === '' ? null : roomId, detail: type })
}
