import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { UserRow } from '../schema/users.ts'

export type NewUser = Pick<UserRow, 'user_id' | 'password_hash' | 'is_admin' | 'is_guest' | 'created_ts'> &
  Partial<Pick<UserRow, 'in_directory' | 'language' | 'valid_until_ts'>>

/** Adds a user; false if the name is taken (even by a deactivated user). */
export async function insertUser(tx: Tx, user: NewUser): Promise<boolean> {
  const result = await sql`insert into users (user_id, password_hash, is_admin, is_guest, created_ts,
      in_directory, language, valid_until_ts)
    values (${user.user_id}, ${user.password_hash}, ${user.is_admin}, ${user.is_guest}, ${user.created_ts}::bigint,
      ${user.in_directory ?? false}::boolean, ${user.language ?? null},
      ${user.valid_until_ts ?? null}::bigint)
    on conflict (user_id) do nothing`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/** Makes a guest a user; false if there is no such guest. */
export async function makeGuestUser(tx: Tx, userId: UserId, passwordHash: string | null): Promise<boolean> {
  const result = await sql`update users set is_guest = false, password_hash = ${passwordHash}
    where user_id = ${userId} and is_guest and deactivated_ts is null`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/** Returns a local user; undefined if there is none with that id. */
export async function findUser(db: Db, userId: UserId): Promise<UserRow | undefined> {
  return db.sql.selectFrom('users').selectAll().where('user_id', '=', userId).executeTakeFirst()
}

/** Returns the ids that no local user has or had. */
export async function filterUnknownUsers(db: Db, userIds: readonly UserId[]): Promise<UserId[]> {
  if (userIds.length === 0) return []
  const { rows } = await sql<{ user_id: UserId }>`select user_id from unnest(${userIds}::text[]) as asked(user_id)
    where not exists (select 1 from users where users.user_id = asked.user_id)`.execute(db.sql)
  return rows.map((row) => row.user_id)
}

/** Gives an account a password of its own (null: none), so that the directory no longer checks it. */
export async function updatePasswordHash(tx: Tx, userId: UserId, hash: string | null): Promise<void> {
  await sql`update users set password_hash = ${hash}, in_directory = false where user_id = ${userId}`.execute(tx.sql)
}

/** Replaces the hash of a password that stays the same; false if the hash is no longer `old`. */
export async function renewPasswordHash(
  tx: Tx,
  { userId, old, hash }: { userId: UserId; old: string; hash: string },
): Promise<boolean> {
  const result = await sql`update users set password_hash = ${hash}
    where user_id = ${userId} and password_hash = ${old}`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/** Lets the directory check the password of an account, instead of its own one. */
export async function moveToDirectory(tx: Tx, userId: UserId): Promise<void> {
  await sql`update users set password_hash = null, in_directory = true where user_id = ${userId}`.execute(tx.sql)
}

/** Stores whether a user wants mails about sign-ins. */
export async function updateSignInMails(tx: Tx, userId: UserId, wanted: boolean): Promise<void> {
  await tx.sql.updateTable('users').set({ sign_in_mails: wanted }).where('user_id', '=', userId).execute()
}

/** Stores the language of mails to a user. */
export async function updateLanguage(tx: Tx, userId: UserId, language: string): Promise<void> {
  await sql`update users set language = ${language} where user_id = ${userId}
    and language is distinct from ${language}`.execute(tx.sql)
}

/** Deactivates a user: no password, no rights; `erased` is never unset. */
export async function markDeactivated(tx: Tx, user: { userId: UserId; erase: boolean; now: number }): Promise<void> {
  await sql`update users set password_hash = null, is_admin = false, erased = erased or ${user.erase}::boolean,
    deactivated_ts = coalesce(deactivated_ts, ${user.now}::bigint) where user_id = ${user.userId}`.execute(tx.sql)
}

/** Lets a deactivated user sign in again. */
export async function markReactivated(tx: Tx, userId: UserId): Promise<void> {
  await sql`update users set deactivated_ts = null, erased = false where user_id = ${userId}`.execute(tx.sql)
}

/** Makes a user an administrator, or ends that. */
export async function updateAdmin(tx: Tx, userId: UserId, isAdmin: boolean): Promise<void> {
  await tx.sql.updateTable('users').set({ is_admin: isAdmin }).where('user_id', '=', userId).execute()
}

/** Stores the type of a user; null: an ordinary one. */
export async function updateUserType(tx: Tx, userId: UserId, userType: string | null): Promise<void> {
  await tx.sql.updateTable('users').set({ user_type: userType }).where('user_id', '=', userId).execute()
}

/** Stores the limit of messages of a user, in place of the configured one; null: the configured one applies. */
export async function updateMessageLimit(
  tx: Tx,
  userId: UserId,
  limit: { perSecond: number; burst: number } | null,
): Promise<void> {
  await sql`update users set messages_per_second = ${limit?.perSecond ?? null}::int,
    message_burst = ${limit?.burst ?? null}::int where user_id = ${userId}`.execute(tx.sql)
}

/**
 * Locks a user's row until the transaction ends. Invariant: a transaction that reads and then writes a user's push
 * rules, profile, tags or sessions holds this lock.
 */
export async function lockUser(tx: Tx, userId: UserId): Promise<void> {
  await sql`select 1 from users where user_id = ${userId} for no key update`.execute(tx.sql)
}

/**
 * Locks an account at a time, or unlocks it (null): https://spec.matrix.org/v1.19/client-server-api/#account-locking
 */
export async function updateLocked(tx: Tx, userId: UserId, lockedTs: number | null): Promise<void> {
  const locked = { locked: lockedTs !== null, locked_ts: lockedTs }
  await tx.sql.updateTable('users').set(locked).where('user_id', '=', userId).execute()
}

/** Shadow-bans a user, or lifts that. */
export async function updateShadowBanned(tx: Tx, userId: UserId, shadowBanned: boolean): Promise<void> {
  await tx.sql.updateTable('users').set({ shadow_banned: shadowBanned }).where('user_id', '=', userId).execute()
}

/** Suspends an account or lifts that: https://spec.matrix.org/v1.19/client-server-api/#account-suspension */
export async function updateSuspended(tx: Tx, userId: UserId, suspended: boolean): Promise<void> {
  await tx.sql.updateTable('users').set({ suspended }).where('user_id', '=', userId).execute()
}
