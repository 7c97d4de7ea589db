import { sql } from 'kysely'
import type { DeviceId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { sharedLookUp } from '../engine/shared-loads.ts'
import type { AccessTokenRow, DeviceKey } from '../schema/users.ts'
import { deleteLoginTokensOfDevice } from './login-tokens.ts'

/** The token, user and device of a request. */
export type TokenHolder = {
  user_id: UserId
  device_id: DeviceId | null
  /** The scope of the token; null: it permits everything that the user may do. */
  scope: string | null
  expires_ts: number | null
  is_admin: boolean
  is_guest: boolean
  deactivated: boolean
  locked: boolean
  suspended: boolean
  shadow_banned: boolean
  created_ts: number
  valid_until_ts: number | null
  exempt_from_rate_limits: boolean
  messages_per_second: number | null
  message_burst: number | null
  last_seen_ts: number | null
  /** When a personal token was used last; 0: never; null: it is none. */
  last_used_ts: number | null
  /** The token's refresh token, until the one that it replaces is retired. */
  refresh_token_to_confirm: string | null
  /** The stream position at which it was read. */
  stream_position: number
}

/** The same for a user without a token. */
type TokenlessHolder = Omit<
  TokenHolder,
  | 'scope'
  | 'expires_ts'
  | 'valid_until_ts'
  | 'last_seen_ts'
  | 'last_used_ts'
  | 'refresh_token_to_confirm'
  | 'stream_position'
>

/**
 * Finds a token by its hash: one query for all data that a request needs, shared by all requests that arrive together.
 */
export const findTokenHolder = sharedLookUp<string, TokenHolder>(
  async (db, hashes) => {
    const { rows } = await sql<
      TokenHolder & { token_hash: string }
    >`select token.token_hash, token.user_id, token.device_id,
        token.scope, token.expires_ts, is_admin, is_guest, deactivated_ts is not null as deactivated, locked, suspended, shadow_banned, users.created_ts, exempt_from_rate_limits,
        messages_per_second, message_burst, valid_until_ts, last_seen_ts, last_used_ts, refresh.token_hash as refresh_token_to_confirm,
        coalesce((select max(stream_position) from stream), 0) as stream_position
      from access_tokens token join users using (user_id)
      left join devices on devices.user_id = token.user_id and devices.device_id = token.device_id
      left join refresh_tokens refresh on refresh.token_hash = token.refresh_token_hash and refresh.replaces is not null
      where token.token_hash = any(${hashes}::text[])`.execute(db.sql)
    return new Map(rows.map((row) => [row.token_hash, row]))
  },
  { most: 100, of: 'arrivals', retriesAlone: true },
)

/**
 * Finds a user for an application service that acts without a token of the user; `device_id` null: the user has no such
 * device. Undefined: the user does not exist.
 */
export async function findTokenlessHolder(
  db: Db,
  { userId, deviceId }: { userId: UserId; deviceId: string | null },
): Promise<TokenlessHolder | undefined> {
  const { rows } = await sql<TokenlessHolder>`select users.user_id, devices.device_id, is_admin, is_guest,
      deactivated_ts is not null as deactivated, locked, suspended, shadow_banned, users.created_ts, exempt_from_rate_limits,
      messages_per_second, message_burst
    from users left join devices on devices.user_id = users.user_id and devices.device_id = ${deviceId}
      and not exists (select 1 from dehydrated_devices where dehydrated_devices.user_id = users.user_id
        and dehydrated_devices.device_id = devices.device_id)
    where users.user_id = ${userId}`.execute(db.sql)
  return rows[0]
}

/** Adds an access token, or prolongs it if it exists already; its device must exist. */
export async function insertAccessToken(
  tx: Tx,
  token: Omit<AccessTokenRow, 'last_used_ts'> & { last_used_ts?: number },
): Promise<void> {
  await sql`insert into access_tokens (token_hash, user_id, device_id, scope, expires_ts, last_used_ts,
      refresh_token_hash)
    values (${token.token_hash}, ${token.user_id}, ${token.device_id}, ${token.scope}, ${token.expires_ts}::bigint,
      ${token.last_used_ts ?? null}::bigint, ${token.refresh_token_hash})
    on conflict (token_hash) do update set expires_ts = excluded.expires_ts`.execute(tx.sql)
}

/** Whether a token exists; if so, it is not revoked before the transaction ends. */
export async function holdAccessToken(tx: Tx, tokenHash: string): Promise<boolean> {
  const { rows } = await sql`select 1 from access_tokens where token_hash = ${tokenHash} for key share`.execute(tx.sql)
  return rows.length === 1
}

/** Revokes all tokens of a device, including the login tokens that it requested. */
export async function deleteDeviceTokens(tx: Tx, { userId, deviceId }: DeviceKey): Promise<void> {
  await deleteLoginTokensOfDevice(tx, { userId, deviceId })
  await tx.sql.deleteFrom('access_tokens').where('user_id', '=', userId).where('device_id', '=', deviceId).execute()
  await tx.sql.deleteFrom('refresh_tokens').where('user_id', '=', userId).where('device_id', '=', deviceId).execute()
}

/** Revokes all access tokens of a user that belong to no device. */
export async function deleteDevicelessTokens(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('access_tokens').where('user_id', '=', userId).where('device_id', 'is', null).execute()
}

/** Deletes the expired tokens of a user that belong to no device and are no personal tokens. */
export async function deleteExpiredTokens(tx: Tx, userId: UserId, now: number): Promise<void> {
  await sql`delete from access_tokens where user_id = ${userId} and device_id is null and last_used_ts is null
    and refresh_token_hash is null and expires_ts < ${now}::bigint`.execute(tx.sql)
}

/** Revokes one access token. */
export async function deleteAccessToken(tx: Tx, tokenHash: string): Promise<void> {
  await tx.sql.deleteFrom('access_tokens').where('token_hash', '=', tokenHash).execute()
}
