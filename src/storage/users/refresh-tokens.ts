import { type RawBuilder, sql } from 'kysely'
import type { DeviceId, UserId } from '../../core/ids.ts'
import type { Tx } from '../engine/database.ts'
import type { RefreshTokenRow } from '../schema/users.ts'

/** How long a token is stored after it was replaced, in milliseconds. */
export const RETIREMENT_MS = 60_000

/** A refresh token with the client and scope of its OAuth session; null: a login. */
export type HeldRefreshToken = RefreshTokenRow & { client_id: string | null; scope: string | null }

/** The session that a family of refresh tokens belongs to. */
export type RefreshTokenFamily = {
  familyHash: string
  userId: UserId
  deviceId: DeviceId | null
  oauthSessionNid: number | null
  clientId: string | null
}

/** Finds a refresh token and locks it until the transaction ends. */
export async function lockRefreshToken(tx: Tx, tokenHash: string): Promise<HeldRefreshToken | undefined> {
  const { rows } = await sql<HeldRefreshToken>`select refresh.*, client_id, scope from refresh_tokens refresh
    left join oauth_sessions on session_nid = oauth_session_nid
    where token_hash = ${tokenHash} for update of refresh`.execute(tx.sql)
  return rows[0]
}

/** Returns the session of a family of tokens; undefined if it has ended or never existed. */
export async function findRefreshTokenFamily(tx: Tx, familyHash: string): Promise<RefreshTokenFamily | undefined> {
  const { rows } = await sql<RefreshTokenFamily>`select family_hash as "familyHash", refresh.user_id as "userId",
      refresh.device_id as "deviceId", oauth_session_nid as "oauthSessionNid", client_id as "clientId"
    from refresh_tokens refresh left join oauth_sessions on session_nid = oauth_session_nid
    where family_hash = ${familyHash} limit 1`.execute(tx.sql)
  return rows[0]
}

/** Returns the oldest generation of a family's active tokens; undefined if there is none. */
export async function oldestGenerationInUse(tx: Tx, familyHash: string): Promise<number | undefined> {
  const { rows } = await sql<{ oldest: number | null }>`select min(generation) as oldest from refresh_tokens
    where family_hash = ${familyHash} and retired_ts is null`.execute(tx.sql)
  return rows[0]?.oldest ?? undefined
}

/** Adds a refresh token, unless it exists already; its device must exist. */
export async function insertRefreshToken(
  tx: Tx,
  token: Omit<RefreshTokenRow, 'retired_ts' | 'is_restored'>,
): Promise<void> {
  await tx.sql
    .insertInto('refresh_tokens')
    .values(token)
    .onConflict((conflict) => conflict.column('token_hash').doNothing())
    .execute()
}

/**
 * Adds a token to a family whose tokens come from a restored backup, and retires those: it was issued after the backup.
 * Does nothing once the client has used a token since.
 */
export async function adoptRefreshToken(
  tx: Tx,
  { tokenHash, familyHash, salt }: { tokenHash: string; familyHash: string; salt: string },
  now: number,
): Promise<void> {
  const { rows } = await sql<RefreshTokenRow>`select * from refresh_tokens
    where family_hash = ${familyHash} and is_restored and retired_ts is null
    order by generation desc for update`.execute(tx.sql)
  const [newest] = rows
  if (!newest) return
  const { retired_ts: _retired, is_restored: _restored, ...session } = newest
  const generation = newest.generation + 1
  await insertRefreshToken(tx, { ...session, token_hash: tokenHash, salt, replaces: null, generation })
  await retire(tx, sql`family_hash = ${familyHash} and is_restored`, now)
}

/** Retires the predecessor of a token, because the token or its access token was used. */
export async function confirmRefreshToken(tx: Tx, tokenHash: string, now: number): Promise<void> {
  await retire(tx, sql`token_hash = (select replaces from refresh_tokens where token_hash = ${tokenHash})`, now)
  await tx.sql.updateTable('refresh_tokens').set({ replaces: null }).where('token_hash', '=', tokenHash).execute()
}

/** Retires all refresh tokens of a family; false if there was none. The client can log in to the same device again. */
export function retireAllTokens(tx: Tx, familyHash: string, now: number): Promise<boolean> {
  return retire(tx, sql`family_hash = ${familyHash}`, now)
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
  await sql`delete from refresh_tokens where family_hash = ${first.family_hash}
    and retired_ts < ${now - RETIREMENT_MS}::bigint`.execute(tx.sql)
  return true
}
