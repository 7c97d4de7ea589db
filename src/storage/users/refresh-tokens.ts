import { type RawBuilder, sql } from 'kysely'
import type { Tx } from '../engine/database.ts'
import type { DeviceKey, RefreshTokenRow } from '../schema/users.ts'

/** How long a token is stored after it was replaced, in milliseconds. */
export const RETIREMENT_MS = 60_000

/** Finds a refresh token and locks it until the transaction ends. */
export async function lockRefreshToken(tx: Tx, tokenHash: string): Promise<RefreshTokenRow | undefined> {
  const { rows } =
    await sql<RefreshTokenRow>`select * from refresh_tokens where token_hash = ${tokenHash} for update`.execute(tx.sql)
  return rows[0]
}

/** Returns the owner of a family of tokens; undefined if it has ended or never existed. */
export async function findRefreshTokenFamily(tx: Tx, familyHash: string): Promise<DeviceKey | undefined> {
  const { rows } = await sql<DeviceKey>`select user_id as "userId", device_id as "deviceId" from refresh_tokens
    where family_hash = ${familyHash} limit 1`.execute(tx.sql)
  return rows[0]
}

/** Returns the oldest generation of a device's active tokens; undefined if there is none. */
export async function oldestGenerationInUse(tx: Tx, { userId, deviceId }: DeviceKey): Promise<number | undefined> {
  const { rows } = await sql<{ oldest: number | null }>`select min(generation) as oldest from refresh_tokens
    where user_id = ${userId} and device_id = ${deviceId} and retired_ts is null`.execute(tx.sql)
  return rows[0]?.oldest ?? undefined
}

/** Adds a refresh token; the device must exist. */
export async function insertRefreshToken(tx: Tx, token: Omit<RefreshTokenRow, 'retired_ts'>): Promise<void> {
  await tx.sql.insertInto('refresh_tokens').values(token).execute()
}

/** Retires the predecessor of a token, because the token or its access token was used. */
export async function confirmRefreshToken(tx: Tx, tokenHash: string, now: number): Promise<void> {
  await retire(tx, sql`token_hash = (select replaces from refresh_tokens where token_hash = ${tokenHash})`, now)
  await tx.sql.updateTable('refresh_tokens').set({ replaces: null }).where('token_hash', '=', tokenHash).execute()
}

/** Retires unused successors of a token: the client refreshes again because it did not receive the response. */
export async function retireUnusedSuccessors(tx: Tx, tokenHash: string, now: number): Promise<void> {
  await retire(tx, sql`replaces = ${tokenHash}`, now)
}

/** Retires all refresh tokens of a device; false if there was none. The client can log in to the same device again. */
export function retireAllTokens(tx: Tx, { userId, deviceId }: DeviceKey, now: number): Promise<boolean> {
  return retire(tx, sql`user_id = ${userId} and device_id = ${deviceId}`, now)
}

/** Retires tokens with their access tokens, and deletes those that were retired long ago. */
async function retire(tx: Tx, which: RawBuilder<unknown>, now: number): Promise<boolean> {
  const { rows } = await sql<RefreshTokenRow>`update refresh_tokens set retired_ts = ${now}::bigint, replaces = null
    where ${which} and retired_ts is null returning *`.execute(tx.sql)
  const [first] = rows
  if (!first) return false
  // Expires access tokens instead of deleting them: a client that still uses one has to refresh, not to end its
  // session.
  await sql`update access_tokens set expires_ts = least(expires_ts, ${now}::bigint)
    where refresh_token_hash = any(${rows.map(({ token_hash }) => token_hash)}::text[])`.execute(tx.sql)
  await sql`delete from refresh_tokens where user_id = ${first.user_id} and device_id = ${first.device_id}
    and retired_ts < ${now - RETIREMENT_MS}::bigint`.execute(tx.sql)
  return true
}
