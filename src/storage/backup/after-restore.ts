import { sql } from 'kysely'
import type { Db, Tx } from '../engine/database.ts'
import { appendToStream } from '../engine/stream-append.ts'

/** A range of lost stream positions: those after `lostAfter` and before `resumedAt`. */
export type LostPositions = { lostAfter: number; resumedAt: number }

/**
 * More positions than any server gives out between a backup and its restore: years of 1,000 a second. As many as
 * milliseconds since 1970 are added: a backup that is restored twice goes on later the second time, also after what the
 * server has given out in between.
 */
const POSITIONS = 100_000_000_000
/** More versions than any user makes of a key backup. For the same reason, seconds since 1970 are added. */
const KEY_BACKUP_VERSIONS = 1000
/** More changes than clients make to a key backup in that time. Milliseconds are added. */
const KEY_BACKUP_CHANGES = 1_000_000_000

/** How much a restore has changed. */
export type Voided = { oneTimeKeys: number; delayedEvents: number; deviceLists: number }

/**
 * Makes a database that was restored from a backup safe to serve: what may have been used since the backup is void, and
 * numbers go on after any that clients and servers have. `now` is in milliseconds since 1970. docs/backup.md has the
 * reasons.
 */
export async function recoverDatabase(tx: Tx, now: number): Promise<Voided> {
  const { rows: keys } = await sql<{ count: number }>`select count(*)::int as count from one_time_keys`.execute(tx.sql)
  await sql`truncate one_time_keys, sliding_connections, sliding_rooms, typing, push_queue, login_tokens, openid_tokens,
    uia_sessions, registration_nonces, threepid_sessions, rendezvous_sessions, rendezvous_transactions, oauth_requests,
    oauth_device_grants, upstream_requests`.execute(tx.sql)
  // Clients replace a fallback key that was used.
  await sql`update fallback_keys set used = true where not used`.execute(tx.sql)
  await sql`update refresh_tokens set is_restored = true where not is_restored`.execute(tx.sql)
  await sql`delete from federation_edus where is_ephemeral and not exists (select 1 from federation_destinations
    where federation_destinations.destination = federation_edus.destination and edu_nid = any(txn_edus))`.execute(
    tx.sql,
  )
  await skipKeyBackupVersions(tx, now)
  const delayed = await cancelOverdueMessages(tx, now)
  const lists = await sql`update remote_device_lists set is_stale = true, version = version + 1, retry_ts = 0`.execute(
    tx.sql,
  )
  await skipPositions(tx, now)
  await announceDevices(tx)
  return {
    oneTimeKeys: keys[0]!.count,
    delayedEvents: Number(delayed.numAffectedRows ?? 0),
    deviceLists: Number(lists.numAffectedRows ?? 0),
  }
}

/** A version that a client created since the backup must not be another one now: it has another key. */
async function skipKeyBackupVersions(tx: Tx, now: number): Promise<void> {
  await sql`update key_backups set etag = etag + ${KEY_BACKUP_CHANGES + now}::bigint where not deleted`.execute(tx.sql)
  await sql`insert into key_backups (user_id, version, algorithm, auth_data, deleted)
    select user_id, coalesce((select max(version) from key_backups where key_backups.user_id = users.user_id), 0)
      + ${KEY_BACKUP_VERSIONS + Math.floor(now / 1000)}::bigint, '', '{}', true
    from users where exists (select 1 from devices where devices.user_id = users.user_id)`.execute(tx.sql)
}

/**
 * A message that was due before now was sent then, or cancelled by its user. State is sent, late: it ends the
 * memberships of calls, and a repeated one changes nothing.
 */
function cancelOverdueMessages(tx: Tx, now: number) {
  return sql`update delayed_events set finalised_ts = ${now}::bigint
    where finalised_ts is null and state_key is null and since_ts + delay_ms < ${now}::bigint`.execute(tx.sql)
}

/** Later positions are greater than any that was given out after the backup. */
async function skipPositions(tx: Tx, now: number): Promise<void> {
  const { rows } = await sql<{ resumed_at: number }>`insert into restores (restored_ts, lost_after, resumed_at)
    select ${now}::bigint, last, last + ${POSITIONS + now}::bigint from
      (select coalesce(max(stream_position), 0) as last from stream) as stream
    returning resumed_at`.execute(tx.sql)
  await sql`select setval('stream_positions', ${rows[0]!.resumed_at}::bigint - 1)`.execute(tx.sql)
  appendToStream(tx, { kind: 'restored' })
}

/** Other servers compare the list of their updates with ours: they fetch a user's devices where one is missing. */
async function announceDevices(tx: Tx): Promise<void> {
  await sql`select append_to_stream(array_agg('device_list'::text), array_agg(null::text), array_agg(user_id),
      array_agg(null::bigint), array_agg('device ' || device_id))
    from device_keys where exists (select 1 from room_memberships
      join room_servers using (room_id) where room_memberships.user_id = device_keys.user_id and membership = 'join')
    having count(*) > 0`.execute(tx.sql)
}

/** Returns the positions that restores have lost, oldest first. */
export async function loadLostPositions(db: Db): Promise<LostPositions[]> {
  const { rows } = await sql<LostPositions>`select lost_after as "lostAfter", resumed_at as "resumedAt" from restores
    order by lost_after`.execute(db.sql)
  return rows
}
