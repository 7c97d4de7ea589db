import { sql } from 'kysely'
import type { Db } from '../engine/database.ts'
import { QUARANTINED_BY } from '../media/media.ts'
import { fetchRows } from './snapshot.ts'

/**
 * Each kind of line of an export of the server that one query returns, in the order of the file, with a function that
 * opens the cursor `snapshot_rows` on its lines. docs/export.md describes them. Secrets are left out.
 */
const CURSORS: Readonly<Record<string, (db: Db) => Promise<unknown>>> = {
  user: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'user' as kind, users.user_id, created_ts, deactivated_ts, erased, is_admin, is_guest, locked, suspended,
        shadow_banned, user_type, valid_until_ts, language, displayname, avatar_url,
        coalesce(fields, '{}')::json as profile_fields, password_hash is not null as has_password
      from users left join profiles using (user_id) order by users.user_id) as line`.execute(db.sql),
  password_hash: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'password_hash' as kind, user_id, password_hash from users where password_hash is not null
      order by user_id) as line`.execute(db.sql),
  threepid: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'threepid' as kind, user_id, medium, address, validated_ts, added_ts from threepids
      order by medium, address) as line`.execute(db.sql),
  provider_link: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'provider_link' as kind, user_id, provider_id, subject, label, linked_ts from upstream_links
      order by provider_id, subject) as line`.execute(db.sql),
  account_data: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'account_data' as kind, user_id, nullif(room_id, '') as room_id, type, content::json as content
      from account_data order by user_id, room_id, type) as line`.execute(db.sql),
  push_rules: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'push_rules' as kind, user_id, overlay::json as overlay from push_rules order by user_id)
      as line`.execute(db.sql),
  pusher: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'pusher' as kind, user_id, device_id, app_id, pushkey, pushers.kind as pusher_kind, app_display_name,
        device_display_name, profile_tag, lang, data::json as data from pushers order by pusher_nid)
      as line`.execute(db.sql),
  device: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'device' as kind, user_id, device_id, display_name, created_ts, last_seen_ts, last_seen_ip,
        last_seen_user_agent, key_json::json as keys
      from devices left join device_keys using (user_id, device_id) order by user_id, device_id) as line`.execute(
      db.sql,
    ),
  cross_signing_key: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'cross_signing_key' as kind, user_id, usage, key_json::json as key
      from cross_signing_keys join users using (user_id) order by user_id, usage) as line`.execute(db.sql),
  cross_signing_signature: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'cross_signing_signature' as kind, signer, signing_key_id, target_user_id, target_key, signature
      from cross_signing_signatures order by target_user_id, target_key, signer, signing_key_id) as line`.execute(
      db.sql,
    ),
  key_backup: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'key_backup' as kind, user_id, version::text, algorithm, auth_data::json as auth_data, key_count
      from key_backups where not deleted order by user_id, key_backups.version) as line`.execute(db.sql),
  key_backup_session: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'key_backup_session' as kind, user_id, version::text, room_id, session_id, first_message_index,
        forwarded_count, is_verified, session_data::json as session_data
      from key_backup_sessions order by user_id, key_backup_sessions.version, room_id, session_id)
      as line`.execute(db.sql),
  room: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'room' as kind, room_id, rooms.room_version, creator, in_directory, name, topic, canonical_alias,
        avatar_url, join_rule, guest_access, history_visibility, room_type, encryption, tombstone, federatable,
        joined_members, joined_local_members, is_partial, forward_extremities
      from rooms join room_heads using (room_id) order by room_id) as line`.execute(db.sql),
  alias: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'alias' as kind, room_alias, room_id, creator from room_aliases order by room_alias) as line`.execute(
      db.sql,
    ),
  room_block: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'room_block' as kind, room_id, blocked_by, blocked_ts from room_blocks order by room_id)
      as line`.execute(db.sql),
  event: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'event' as kind, room_id, event_id, event_order, soft_failed, redacted_by, json::json as event
      from events where event_order is not null order by room_id, event_order) as line`.execute(db.sql),
  other_event: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'other_event' as kind, room_id, event_id, rejected, redacted_by, json::json as event
      from events where event_order is null order by room_id) as line`.execute(db.sql),
  membership: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'membership' as kind, room_id, user_id, membership, event_id, forgotten,
        stripped_states.events::json as stripped_state
      from room_memberships as member join users using (user_id) join events using (room_id, event_nid)
        left join stripped_states using (event_nid) order by room_id, user_id) as line`.execute(db.sql),
  receipt: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'receipt' as kind, room_id, user_id, receipt_type, nullif(thread_id, '') as thread_id, event_id, ts
      from receipts order by room_id, user_id, receipt_type, receipts.thread_id) as line`.execute(db.sql),
  thread_subscription: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'thread_subscription' as kind, user_id, room_id, thread_id, subscribed, automatic
      from thread_subscriptions order by user_id, room_id, thread_id) as line`.execute(db.sql),
  media: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'media' as kind, 'mxc://' || m.server_name || '/' || m.media_id as url, m.uploader, m.content_type,
        m.filename, m.created_ts, m.accessed_ts, m.sha256, size, ${QUARANTINED_BY} as quarantined_by
      from media as m join media_files using (sha256) order by m.server_name, m.media_id) as line`.execute(db.sql),
  report: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'report' as kind, report_nid as report_id, received_ts, reporter, room_id, event_id, reported_user, reason,
        score, state from reports order by report_nid) as line`.execute(db.sql),
  report_note: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'report_note' as kind, report_nid as report_id, written_ts, author, state, note from report_notes
      order by note_nid) as line`.execute(db.sql),
  audit_entry: (db) =>
    sql`declare snapshot_rows no scroll cursor for select to_json(line)::text as row from (
      select 'audit_entry' as kind, acted_ts, actor, action, target, details::json as details, address from audit_log
      order by entry_nid) as line`.execute(db.sql),
}

export const EXPORTED_KINDS: readonly string[] = Object.keys(CURSORS)

/** Returns the lines of a kind, JSON objects, some at a time; `db` is in a snapshot. */
export async function* readExported(db: Db, kind: string): AsyncGenerator<string[]> {
  await CURSORS[kind]!(db)
  yield* fetchRows(db)
}

/** Returns the rooms with the roots of their current states, some at a time; `db` is in a snapshot. */
export async function* readRoomRoots(db: Db): AsyncGenerator<{ room_id: string; state_root: number }[]> {
  for (let after = ''; ; ) {
    const { rows } = await sql<{ room_id: string; state_root: number }>`select room_id, state_root from room_heads
      where room_id > ${after} order by room_id limit 500`.execute(db.sql)
    if (rows.length === 0) return
    yield rows
    after = rows.at(-1)!.room_id
  }
}
