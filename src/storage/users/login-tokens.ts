import { sql } from 'kysely'
import type { DeviceId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { DeviceKey } from '../schema/users.ts'

/** Adds a one-time login token, and deletes those that have expired by `now`. It is revoked with its device. */
export async function insertLoginToken(
  tx: Tx,
  token: {
    tokenHash: string
    userId: UserId
    deviceId: DeviceId | null
    /** The session at an identity provider by which the user signed in. */
    upstreamSessionNid: number | null
    expiresTs: number
    now: number
  },
): Promise<void> {
  await tx.sql.deleteFrom('login_tokens').where('expires_ts', '<=', token.now).execute()
  await sql`insert into login_tokens (token_hash, user_id, device_id, upstream_session_nid, expires_ts)
    values (${token.tokenHash}, ${token.userId}, ${token.deviceId}, ${token.upstreamSessionNid}::bigint,
      ${token.expiresTs}::bigint)`.execute(tx.sql)
}

/** Returns the user of a token; undefined if it is unknown or used. */
export async function findLoginTokenUser(db: Db, tokenHash: string): Promise<UserId | undefined> {
  const { rows } = await sql<{ user_id: UserId }>`select user_id from login_tokens
    where token_hash = ${tokenHash}`.execute(db.sql)
  return rows[0]?.user_id
}

type TakenToken = { expires_ts: number; upstream_session_nid: number | null }

/** Uses a token; undefined if it is unknown, expired or used. */
export async function takeLoginToken(tx: Tx, tokenHash: string, now: number): Promise<TakenToken | undefined> {
  const { rows } = await sql<TakenToken>`delete from login_tokens
    where token_hash = ${tokenHash} returning expires_ts, upstream_session_nid`.execute(tx.sql)
  return rows.find(({ expires_ts }) => expires_ts > now)
}

/** Revokes all login tokens of a user. */
export async function deleteLoginTokens(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('login_tokens').where('user_id', '=', userId).execute()
}

/** Revokes the login tokens that a device requested. */
export async function deleteLoginTokensOfDevice(tx: Tx, { userId, deviceId }: DeviceKey): Promise<void> {
  await tx.sql.deleteFrom('login_tokens').where('user_id', '=', userId).where('device_id', '=', deviceId).execute()
}
