import { sql } from 'kysely'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { appendToStream } from '../engine/stream-append.ts'
import type { UserTables } from '../schema/users.ts'

/** The key of an account data entry; `roomId` is '' for global ones. */
export type AccountDataKey = { roomId: RoomId | ''; type: string }

/** An account data entry; `content` is JSON text, served unchanged. */
export type AccountDataRow = Omit<UserTables['account_data'], 'user_id'>

/** Returns the content (JSON text) of an entry; undefined if it is not set. */
export async function findAccountData(
  db: Db,
  userId: UserId,
  { roomId, type }: AccountDataKey,
): Promise<string | undefined> {
  const { rows } = await sql<{ content: string }>`select content from account_data
    where user_id = ${userId} and room_id = ${roomId} and type = ${type}`.execute(db.sql)
  return rows[0]?.content
}

/** Returns all account data of a user, global and of all rooms. */
export async function loadAllAccountData(db: Db, userId: UserId): Promise<AccountDataRow[]> {
  const { rows } = await sql<AccountDataRow>`select room_id, type, content from account_data
    where user_id = ${userId} order by room_id, type`.execute(db.sql)
  return rows
}

/** Returns all entries of one type, global and of rooms. */
export async function loadAccountDataOfType(db: Db, userId: UserId, type: string): Promise<AccountDataRow[]> {
  const { rows } = await sql<AccountDataRow>`select room_id, type, content from account_data
    where user_id = ${userId} and type = ${type}`.execute(db.sql)
  return rows
}

/** Returns a user's account data of some rooms; '' selects the global entries. */
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

/** Returns some entries, such as those of stream rows; entries that are not set are absent. */
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

/** Bytes that an entry counts in addition to its text. */
const ENTRY_BYTES = 100

/** Returns the bytes of one entry (0: none), and of all other entries of the user, including their names. */
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

/** Stores an entry (`content` is JSON text) and notifies the user's devices. */
export async function storeAccountData(
  tx: Tx,
  userId: UserId,
  { roomId, type, content }: AccountDataKey & { content: string },
): Promise<void> {
  await sql`insert into account_data (user_id, room_id, type, content) values (${userId}, ${roomId}, ${type}, ${content})
    on conflict (user_id, room_id, type) do update set content = excluded.content`.execute(tx.sql)
  noteChange(tx, userId, { roomId, type })
}

/** Deletes an entry and, if it existed, notifies the user's devices, which see it as empty. */
export async function deleteAccountData(tx: Tx, userId: UserId, { roomId, type }: AccountDataKey): Promise<void> {
  const result = await sql`delete from account_data
    where user_id = ${userId} and room_id = ${roomId} and type = ${type}`.execute(tx.sql)
  if (result.numAffectedRows === 1n) noteChange(tx, userId, { roomId, type })
}

/** Deletes existing global entries, and notifies the user's devices in the same way. */
export async function deleteGlobalAccountData(tx: Tx, userId: UserId, types: readonly string[]): Promise<void> {
  if (types.length === 0) return
  const { rows } = await sql<{ type: string }>`delete from account_data
    where user_id = ${userId} and room_id = '' and type = any(${types}::text[]) returning type`.execute(tx.sql)
  for (const { type } of rows) noteChange(tx, userId, { roomId: '', type })
}

/** Deletes all account data of a user, when the account is deactivated. */
export async function deleteAllAccountData(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('account_data').where('user_id', '=', userId).execute()
}

function noteChange(tx: Tx, userId: UserId, { roomId, type }: AccountDataKey): void {
  appendToStream(tx, { kind: 'account_data', user_id: userId, room_id: roomId === '' ? null : roomId, detail: type })
}
