import { sql } from 'kysely'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { Lease } from '../engine/lease.ts'
import type { AppserviceRow } from '../schema/appservices.ts'
import type { StreamRow } from '../schema/stream.ts'

/** The lease of an application service. */
export type AppserviceLease = Lease & { appserviceId: string }

/**
 * A transaction for an application service: its JSON, the stream position up to which it covers, and the to-device
 * messages that end with it.
 */
export type AppserviceTransaction = { txnId: string; body: string; position: number; messages: number[] }

/** The state that a lease holder needs. */
export type AppserviceProgress = {
  /** Everything up to this position has been sent, or is irrelevant. */
  position: number
  retryTs: number
  failures: number
  /** The pending transaction, which an earlier lease holder may have started to send. */
  transaction: AppserviceTransaction | undefined
}

/** A user of an application service who has joined a room, or is no longer in it. */
export type AppserviceMemberChange = { roomId: RoomId; userId: UserId; isJoined: boolean }

/**
 * Registers a new application service, which receives what comes after `position`. False if it is registered already.
 */
export async function beginAppservice(
  tx: Tx,
  { appserviceId, position, users }: { appserviceId: string; position: number; users: string },
): Promise<boolean> {
  const result = await sql`insert into appservices (appservice_id, stream_position, users)
    values (${appserviceId}, ${position}::bigint, ${users}) on conflict do nothing`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/** Stores the namespace by which the members of an application service were computed; false if it is unchanged. */
export async function changeUsers(tx: Tx, appserviceId: string, users: string): Promise<boolean> {
  const result = await sql`update appservices set users = ${users}
    where appservice_id = ${appserviceId} and users <> ${users}`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/** Returns ids of local users after one, in order. */
export async function loadUserIds(db: Db, after: string, limit: number): Promise<UserId[]> {
  const { rows } = await sql<{ user_id: UserId }>`select user_id from users where user_id > ${after}
    order by user_id limit ${limit}::int`.execute(db.sql)
  return rows.map((row) => row.user_id)
}

/** Stores the current joined rooms of these users as the members of an application service. */
export async function resetMembers(tx: Tx, appserviceId: string, userIds: readonly UserId[]): Promise<void> {
  await tx.sql.deleteFrom('appservice_members').where('appservice_id', '=', appserviceId).execute()
  await sql`insert into appservice_members (appservice_id, room_id, user_id)
    select ${appserviceId}, room_id, user_id from room_memberships
    where user_id = any(${userIds}::text[]) and membership = 'join'`.execute(tx.sql)
}

/**
 * Acquires the lease of an application service; undefined while another process holds it. `kept`: the position that the
 * current holder has reached without finding anything to send; then undefined also if another process held the lease in
 * between.
 */
export async function leaseAppservice(
  tx: Tx,
  { appserviceId, holder, now, until, kept }: AppserviceLease & { kept: number | undefined },
): Promise<AppserviceProgress | undefined> {
  const isMine =
    kept === undefined ? sql`(leased_by = ${holder} or leased_until <= ${now}::bigint)` : sql`leased_by = ${holder}`
  const { rows } =
    await sql<AppserviceRow>`update appservices set leased_by = ${holder}, leased_until = ${until}::bigint,
      stream_position = case when txn_id is null then greatest(stream_position, ${kept ?? 0}::bigint) else stream_position end
    where appservice_id = ${appserviceId} and ${isMine} returning *`.execute(tx.sql)
  const row = rows[0]
  if (!row) return undefined
  const { txn_id: txnId, txn_body: body, txn_position: position, txn_messages: messages } = row
  const transaction = txnId === null ? undefined : { txnId, body: body!, position: position!, messages: messages ?? [] }
  return { position: row.stream_position, retryTs: row.retry_ts, failures: row.failures, transaction }
}

type Held = Pick<AppserviceLease, 'appserviceId' | 'holder'>

/** Releases the lease of an application service at `position`, so that another process can continue immediately. */
export async function releaseAppservice(tx: Tx, { appserviceId, holder }: Held, position: number): Promise<void> {
  await sql`update appservices set leased_by = null, leased_until = 0,
      stream_position = greatest(stream_position, ${position}::bigint)
    where appservice_id = ${appserviceId} and leased_by = ${holder}`.execute(tx.sql)
}

/** Advances the position past irrelevant rows; false if another process holds the lease. */
export async function advanceAppservice(
  tx: Tx,
  { appserviceId, holder }: Held,
  { position, members }: { position: number; members: readonly AppserviceMemberChange[] },
): Promise<boolean> {
  const result = await sql`update appservices set stream_position = greatest(stream_position, ${position}::bigint)
    where appservice_id = ${appserviceId} and leased_by = ${holder} and txn_id is null`.execute(tx.sql)
  if (result.numAffectedRows !== 1n) return false
  await storeMembers(tx, appserviceId, members)
  return true
}

/**
 * Stores the next transaction with its changes of the members: every later attempt sends the same content. False if
 * another process holds the lease.
 */
export async function storeNextTransaction(
  tx: Tx,
  { appserviceId, holder }: Held,
  { transaction, members }: { transaction: AppserviceTransaction; members: readonly AppserviceMemberChange[] },
): Promise<boolean> {
  const { txnId, body, position, messages } = transaction
  const result = await sql`update appservices set txn_id = ${txnId}, txn_body = ${body},
      txn_position = ${position}::bigint, txn_messages = ${messages}::bigint[]
    where appservice_id = ${appserviceId} and leased_by = ${holder} and txn_id is null`.execute(tx.sql)
  if (result.numAffectedRows !== 1n) return false
  await storeMembers(tx, appserviceId, members)
  return true
}

/** Marks the transaction as accepted by the application service. False if another process holds the lease. */
export async function finishTransaction(
  tx: Tx,
  { appserviceId, holder }: Held,
  { txnId, messages }: AppserviceTransaction,
): Promise<boolean> {
  const result = await sql`update appservices set stream_position = txn_position, txn_id = null, txn_body = null,
      txn_position = null, txn_messages = null, failures = 0, retry_ts = 0
    where appservice_id = ${appserviceId} and leased_by = ${holder} and txn_id = ${txnId}`.execute(tx.sql)
  if (result.numAffectedRows !== 1n) return false
  if (messages.length > 0) {
    await sql`delete from to_device_messages where message_nid = any(${messages}::bigint[])`.execute(tx.sql)
  }
  return true
}

/** Sets the back-off of an application service after a failure, until `retryTs`. */
export async function restAppservice(tx: Tx, { appserviceId, holder }: Held, retryTs: number): Promise<void> {
  await sql`update appservices set failures = failures + 1, retry_ts = ${retryTs}::bigint
    where appservice_id = ${appserviceId} and leased_by = ${holder}`.execute(tx.sql)
}

/** Ends the back-off of an application service that has sent a request. */
export async function wakeAppservice(tx: Tx, appserviceId: string, now: number): Promise<void> {
  await sql`update appservices set retry_ts = 0
    where appservice_id = ${appserviceId} and retry_ts > ${now}::bigint`.execute(tx.sql)
}

/**
 * Returns stream rows of some kinds after a position, oldest first, and the position up to which there are no others.
 */
export async function loadRowsOfKinds(
  db: Db,
  { after, kinds, limit }: { after: number; kinds: readonly string[]; limit: number },
): Promise<{ rows: StreamRow[]; to: number }> {
  const last = await sql<{ to: number | null }>`select max(stream_position) as to from stream`.execute(db.sql)
  const to = last.rows[0]?.to ?? after
  const { rows } = await sql<StreamRow>`select * from stream
    where stream_position > ${after}::bigint and stream_position <= ${to}::bigint and kind = any(${kinds}::text[])
    order by stream_position limit ${limit}::int`.execute(db.sql)
  return { rows, to: rows.length === limit ? rows.at(-1)!.stream_position : Math.max(to, after) }
}

/** Counts the users of an application service in each of its rooms. */
export async function countMembers(db: Db, appserviceId: string): Promise<Map<RoomId, number>> {
  const { rows } = await sql<{ room_id: RoomId; count: number }>`select room_id, count(*)::int as count
    from appservice_members where appservice_id = ${appserviceId} group by room_id`.execute(db.sql)
  return new Map(rows.map((row) => [row.room_id, row.count]))
}

/** Returns which of some pairs are current members, as `room user`. */
export async function filterMembers(
  db: Db,
  appserviceId: string,
  pairs: readonly { roomId: RoomId; userId: UserId }[],
): Promise<Set<string>> {
  if (pairs.length === 0) return new Set()
  const { rows } = await sql<{ pair: string }>`select room_id || ' ' || user_id as pair from appservice_members
    join unnest(${pairs.map(({ roomId }) => roomId)}::text[], ${pairs.map(({ userId }) => userId)}::text[])
      as pairs(room_id, user_id) using (room_id, user_id)
    where appservice_id = ${appserviceId}`.execute(db.sql)
  return new Set(rows.map((row) => row.pair))
}

/**
 * Rooms that an application service's users have joined since its members were stored, and rooms that they all have
 * left.
 */
export type RoomMoves = { gained: readonly RoomId[]; lost: readonly RoomId[] }

/** Returns which of some users share a room with a user of an application service. */
export async function filterRoommates(
  db: Db,
  appserviceId: string,
  { userIds, gained, lost }: { userIds: readonly UserId[] } & RoomMoves,
): Promise<Set<UserId>> {
  if (userIds.length === 0) return new Set()
  const { rows } = await sql<{ user_id: UserId }>`select user_id from unnest(${userIds}::text[]) as asked(user_id)
    where exists (select 1 from room_memberships as theirs
      where theirs.user_id = asked.user_id and theirs.membership = 'join' and theirs.room_id <> all(${lost}::text[])
        and (theirs.room_id = any(${gained}::text[]) or exists (select 1 from appservice_members as ours
          where ours.appservice_id = ${appserviceId} and ours.room_id = theirs.room_id)))`.execute(db.sql)
  return new Set(rows.map((row) => row.user_id))
}

async function storeMembers(tx: Tx, appserviceId: string, members: readonly AppserviceMemberChange[]): Promise<void> {
  const last = [...new Map(members.map((member) => [`${member.roomId} ${member.userId}`, member])).values()]
  const joined = last.filter((member) => member.isJoined)
  const gone = last.filter((member) => !member.isJoined)
  if (joined.length > 0) {
    await sql`insert into appservice_members (appservice_id, room_id, user_id)
      select ${appserviceId}, * from unnest(${joined.map(({ roomId }) => roomId)}::text[],
        ${joined.map(({ userId }) => userId)}::text[]) on conflict do nothing`.execute(tx.sql)
  }
  if (gone.length > 0) {
    await sql`delete from appservice_members using unnest(${gone.map(({ roomId }) => roomId)}::text[],
        ${gone.map(({ userId }) => userId)}::text[]) as gone(room_id, user_id)
      where appservice_id = ${appserviceId} and appservice_members.room_id = gone.room_id
        and appservice_members.user_id = gone.user_id`.execute(tx.sql)
  }
}

/** How the transactions of an application service go. `retry_ts`: when the next attempt is due, after `failures`. */
export type AppserviceState = Pick<AppserviceRow, 'appservice_id' | 'failures' | 'retry_ts'> & { is_sending: boolean }

/** Returns how the transactions of all application services go. */
export async function listAppserviceStates(db: Db): Promise<AppserviceState[]> {
  const { rows } = await sql<AppserviceState>`select appservice_id, failures, retry_ts, txn_id is not null as is_sending
    from appservices`.execute(db.sql)
  return rows
}
