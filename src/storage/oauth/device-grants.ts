import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { OAuthDeviceGrantRow } from '../schema/oauth-device-grants.ts'

/** The numbers of pending grants. */
export type DeviceGrantCounts = Record<'network' | 'wide_network' | 'all', number>

/**
 * Counts the grants of a network, of the wide network around it, and in total. Deletes those first that expired
 * `rememberedMs` ago. Locks the creation of grants until the transaction ends, so that the limits hold.
 */
export async function countDeviceGrants(
  tx: Tx,
  { network, wide_network }: Pick<OAuthDeviceGrantRow, 'network' | 'wide_network'>,
  { now, rememberedMs }: { now: number; rememberedMs: number },
): Promise<DeviceGrantCounts> {
  await sql`select pg_advisory_xact_lock(hashtext('oauth_device_grants'))`.execute(tx.sql)
  await tx.sql
    .deleteFrom('oauth_device_grants')
    .where('expires_ts', '<', now - rememberedMs)
    .execute()
  const { rows } = await sql<DeviceGrantCounts>`select count(*)::int as all,
      (count(*) filter (where network = ${network}))::int as network,
      (count(*) filter (where wide_network = ${wide_network}))::int as wide_network
    from oauth_device_grants where expires_ts > ${now}::bigint`.execute(tx.sql)
  return rows[0]!
}

/** A grant that no user has decided on. */
export type NewDeviceGrant = Omit<OAuthDeviceGrantRow, DecisionColumn | 'polled_ts'>

type DecisionColumn = 'decided_ts' | 'user_id' | 'authenticated_ts' | 'granted_scope' | 'upstream_session_nid'

/** Adds a grant; its client must exist. False if another grant has the same user code. */
export async function insertDeviceGrant(tx: Tx, grant: NewDeviceGrant): Promise<boolean> {
  const { rows } = await sql<{ inserted: number }>`insert into oauth_device_grants (device_code_hash, user_code_hash,
      client_id, scope, ip, network, wide_network, created_ts, expires_ts, interval_ms)
    values (${grant.device_code_hash}, ${grant.user_code_hash}, ${grant.client_id}, ${grant.scope}, ${grant.ip},
      ${grant.network}, ${grant.wide_network}, ${grant.created_ts}::bigint, ${grant.expires_ts}::bigint,
      ${grant.interval_ms}::int)
    on conflict (user_code_hash) do nothing returning 1 as inserted`.execute(tx.sql)
  return rows.length === 1
}

/** Returns the grant of a user code that has not expired. */
export async function findDeviceGrant(
  db: Db,
  userCodeHash: string,
  now: number,
): Promise<OAuthDeviceGrantRow | undefined> {
  const { rows } = await sql<OAuthDeviceGrantRow>`select * from oauth_device_grants
    where user_code_hash = ${userCodeHash} and expires_ts > ${now}::bigint`.execute(db.sql)
  return rows[0]
}

/** Returns the same, and locks it until the transaction ends. */
export async function lockDeviceGrant(
  tx: Tx,
  userCodeHash: string,
  now: number,
): Promise<OAuthDeviceGrantRow | undefined> {
  const { rows } = await sql<OAuthDeviceGrantRow>`select * from oauth_device_grants
    where user_code_hash = ${userCodeHash} and expires_ts > ${now}::bigint for update`.execute(tx.sql)
  return rows[0]
}

/** Stores what a user decided, and when that user signed in. `grantedScope` null: the user refuses. */
export async function decideDeviceGrant(
  tx: Tx,
  {
    userCodeHash,
    ...decision
  }: {
    userCodeHash: string
    userId: UserId
    authenticatedTs: number
    upstreamSessionNid: number | null
    grantedScope: string | null
    decidedTs: number
  },
): Promise<void> {
  await sql`update oauth_device_grants set user_id = ${decision.userId}, granted_scope = ${decision.grantedScope},
      authenticated_ts = ${decision.authenticatedTs}::bigint, decided_ts = ${decision.decidedTs}::bigint,
      upstream_session_nid = ${decision.upstreamSessionNid}::bigint
    where user_code_hash = ${userCodeHash}`.execute(tx.sql)
}

/** Returns the user who has decided on the grant of a device code. */
export async function findGrantDecider(db: Db, deviceCodeHash: string): Promise<UserId | undefined> {
  const { rows } = await sql<{ user_id: UserId | null }>`select user_id from oauth_device_grants
    where device_code_hash = ${deviceCodeHash}`.execute(db.sql)
  return rows[0]?.user_id ?? undefined
}

/** Returns the grant of a device code, expired or not, and locks it until the transaction ends. */
export async function lockPolledGrant(tx: Tx, deviceCodeHash: string): Promise<OAuthDeviceGrantRow | undefined> {
  const { rows } = await sql<OAuthDeviceGrantRow>`select * from oauth_device_grants
    where device_code_hash = ${deviceCodeHash} for update`.execute(tx.sql)
  return rows[0]
}

/** Stores when the device polled, and how long it has to wait. */
export async function storePoll(
  tx: Tx,
  {
    device_code_hash,
    polled_ts,
    interval_ms,
  }: Pick<OAuthDeviceGrantRow, 'device_code_hash' | 'polled_ts' | 'interval_ms'>,
): Promise<void> {
  await sql`update oauth_device_grants set polled_ts = ${polled_ts}::bigint, interval_ms = ${interval_ms}::int
    where device_code_hash = ${device_code_hash}`.execute(tx.sql)
}

/** Deletes a grant whose tokens are issued. */
export async function deleteDeviceGrant(tx: Tx, deviceCodeHash: string): Promise<void> {
  await tx.sql.deleteFrom('oauth_device_grants').where('device_code_hash', '=', deviceCodeHash).execute()
}
