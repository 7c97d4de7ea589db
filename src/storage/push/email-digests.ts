import { sql } from 'kysely'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { PusherRow, PushQueueRow } from '../schema/push.ts'

/** The job that sends a mail about unread messages. */
export const EMAIL_DIGEST = 'email_digest'

/** Enqueues a mail for those of some pushers that are of kind email, because of a new notification. */
export async function scheduleDigests(
  tx: Tx,
  { pusherNids, now, delay }: { pusherNids: readonly number[]; now: number; delay: number },
): Promise<void> {
  await sql`insert into jobs (kind, key, payload, created_ts, due_ts)
    select ${EMAIL_DIGEST}, pusher_nid::text, json_build_object('pusher_nid', pusher_nid)::text, ${now}::bigint, ${now + delay}::bigint
    from pushers where kind = 'email' and pusher_nid = any(${pusherNids}::bigint[])
    on conflict (kind, key) do update set version = jobs.version + 1`.execute(tx.sql)
}

/** A pusher of kind email, the number of its consecutive mails, and the earliest time of the next one. */
export type EmailPusher = PusherRow & { mails_in_row: number; next_ts: number }

/** Undefined if it was deleted. */
export async function findEmailPusher(db: Db, pusherNid: number): Promise<EmailPusher | undefined> {
  const { rows } = await sql<EmailPusher>`select pushers.*, coalesce(mails_in_row, 0) as mails_in_row,
      coalesce(next_ts, 0) as next_ts
    from pushers left join email_digests using (pusher_nid)
    where pusher_nid = ${pusherNid}::bigint and kind = 'email'`.execute(db.sql)
  return rows[0]
}

/** Returns a pusher's queue, oldest first. */
export async function loadWaiting(db: Db, pusherNid: number, limit: number): Promise<PushQueueRow[]> {
  const { rows } = await sql<PushQueueRow>`select * from push_queue where pusher_nid = ${pusherNid}::bigint
    order by queue_nid limit ${limit}::int`.execute(db.sql)
  return rows
}

/** Records that the queue up to `lastNid` was sent, or need not be. */
export async function finishDigest(
  tx: Tx,
  digest: { pusherNid: number; lastNid: number; mailsInRow: number; nextTs: number },
): Promise<void> {
  await sql`delete from push_queue where pusher_nid = ${digest.pusherNid}::bigint
    and queue_nid <= ${digest.lastNid}::bigint`.execute(tx.sql)
  // The pusher may have been deleted.
  await sql`insert into email_digests (pusher_nid, mails_in_row, next_ts)
    select pusher_nid, ${digest.mailsInRow}::int, ${digest.nextTs}::bigint from pushers
    where pusher_nid = ${digest.pusherNid}::bigint
    on conflict (pusher_nid) do update set mails_in_row = excluded.mails_in_row, next_ts = excluded.next_ts`.execute(
    tx.sql,
  )
}

/** Deletes a pusher of kind email with its queue. */
export async function deleteEmailPusher(tx: Tx, pusherNid: number): Promise<void> {
  await sql`delete from pushers where pusher_nid = ${pusherNid}::bigint and kind = 'email'`.execute(tx.sql)
}

/** Returns which of some events are pending invites of the user. */
export async function loadOpenInvites(db: Db, userId: UserId, eventNids: readonly number[]): Promise<number[]> {
  const { rows } = await sql<{ event_nid: number }>`select event_nid from room_memberships
    where user_id = ${userId} and membership = 'invite' and event_nid = any(${eventNids}::bigint[])`.execute(db.sql)
  return rows.map((row) => row.event_nid)
}

/** Returns the names of rooms that have one. */
export async function loadRoomNames(db: Db, roomIds: readonly RoomId[]): Promise<Map<RoomId, string>> {
  const { rows } = await sql<{ room_id: RoomId; name: string | null }>`select room_id,
      coalesce(nullif(name, ''), canonical_alias) as name from rooms where room_id = any(${roomIds}::text[])`.execute(
    db.sql,
  )
  return new Map(rows.flatMap(({ room_id, name }) => (name === null ? [] : [[room_id, name]])))
}

/** Returns the display names of users in rooms, by `room\0user`, if they have one. */
export async function loadDigestNames(
  db: Db,
  members: readonly { roomId: RoomId; userId: UserId }[],
): Promise<Map<string, string>> {
  const { rows } = await sql<{
    room_id: RoomId
    user_id: UserId
    displayname: string
  }>`select room_id, user_id, displayname
    from room_memberships join unnest(${members.map(({ roomId }) => roomId)}::text[],
      ${members.map(({ userId }) => userId)}::text[]) as wanted(room_id, user_id) using (room_id, user_id)
    where displayname <> ''`.execute(db.sql)
  return new Map(rows.map((row) => [`${row.room_id}\0${row.user_id}`, row.displayname]))
}
