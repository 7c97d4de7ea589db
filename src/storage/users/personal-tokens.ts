import { sql } from 'kysely'
import type { DeviceId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { AccessTokenRow } from '../schema/users.ts'
import { deleteAccessToken, insertAccessToken } from './access-tokens.ts'

/** A personal token, without its secret. */
export type PersonalToken = {
  token_id: string
  user_id: UserId
  name: string
  created_ts: number
  device_id: DeviceId | null
  scope: string
  expires_ts: number | null
  /** 0: never. */
  last_used_ts: number
}

/** Stores a personal token; its device must exist. */
export async function insertPersonalToken(
  tx: Tx,
  { token_id, user_id, name, created_ts, token_hash, ...access }: NewPersonalToken,
): Promise<void> {
  await insertAccessToken(tx, { ...access, token_hash, user_id, refresh_token_hash: null, last_used_ts: 0 })
  await sql`insert into personal_tokens (token_id, token_hash, user_id, name, created_ts)
    values (${token_id}, ${token_hash}, ${user_id}, ${name}, ${created_ts}::bigint)`.execute(tx.sql)
}

type NewPersonalToken = Omit<PersonalToken, 'last_used_ts'> & Pick<AccessTokenRow, 'token_hash'>

/** Returns the personal tokens of a user, the newest first. */
export async function loadPersonalTokens(db: Db, userId: UserId): Promise<PersonalToken[]> {
  const { rows } = await sql<PersonalToken>`select token_id, personal.user_id, name, created_ts, device_id, scope,
      expires_ts, last_used_ts
    from personal_tokens personal join access_tokens using (token_hash)
    where personal.user_id = ${userId} order by created_ts desc, token_id`.execute(db.sql)
  return rows
}

/** Returns a personal token and its hash; undefined if it does not exist. */
export async function findPersonalToken(
  db: Db,
  tokenId: string,
): Promise<(Pick<AccessTokenRow, 'token_hash' | 'user_id' | 'device_id'> & { name: string }) | undefined> {
  const { rows } = await sql<
    Pick<AccessTokenRow, 'token_hash' | 'user_id' | 'device_id'> & { name: string }
  >`select personal.token_hash, personal.user_id, device_id, personal.name
    from personal_tokens personal join access_tokens using (token_hash) where token_id = ${tokenId}`.execute(db.sql)
  return rows[0]
}

/** Replaces the secret of a personal token, by its hash; the new one is unused and has its own end. */
export async function replacePersonalSecret(
  tx: Tx,
  { tokenId, tokenHash, newHash, expiresTs }: PersonalSecret,
): Promise<void> {
  await sql`insert into access_tokens (token_hash, user_id, device_id, scope, expires_ts, last_used_ts)
    select ${newHash}, user_id, device_id, scope, ${expiresTs}::bigint, 0 from access_tokens
    where token_hash = ${tokenHash}`.execute(tx.sql)
  await sql`update personal_tokens set token_hash = ${newHash} where token_id = ${tokenId}`.execute(tx.sql)
  await deleteAccessToken(tx, tokenHash)
}

type PersonalSecret = { tokenId: string; tokenHash: string; newHash: string; expiresTs: number | null }

/** Returns whether a device has a session other than by personal tokens. */
export async function hasOtherSession(db: Db, userId: UserId, deviceId: DeviceId): Promise<boolean> {
  const { rows } = await sql<{ has: boolean }>`select exists (select 1 from access_tokens
      where user_id = ${userId} and device_id = ${deviceId} and last_used_ts is null)
    or exists (select 1 from refresh_tokens where user_id = ${userId} and device_id = ${deviceId}) as has`.execute(
    db.sql,
  )
  return rows[0]!.has
}

/** Deletes the personal tokens of a user that expired before a time. */
export async function deleteExpiredPersonalTokens(tx: Tx, userId: UserId, before: number): Promise<void> {
  await sql`delete from access_tokens using personal_tokens personal
    where personal.user_id = ${userId} and access_tokens.token_hash = personal.token_hash
      and expires_ts < ${before}::bigint`.execute(tx.sql)
}

/** Notes that a personal token was used, unless another process has done so after `unlessSince`. */
export async function updateLastUsed(
  tx: Tx,
  { tokenHash, now, unlessSince }: { tokenHash: string; now: number; unlessSince: number },
): Promise<void> {
  await sql`update access_tokens set last_used_ts = ${now}::bigint
    where token_hash = ${tokenHash} and last_used_ts <= ${unlessSince}::bigint`.execute(tx.sql)
}
