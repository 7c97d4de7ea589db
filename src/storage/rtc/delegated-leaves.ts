import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { appendToStream } from '../engine/stream-append.ts'
import type { DelegatedLeaveRow } from '../schema/rtc.ts'

/** Names one delegated leave event: a participant who hands over another one replaces it. */
export type LeaveKey = Pick<DelegatedLeaveRow, 'livekit_room' | 'identity' | 'delay_id'>

/** Finds the leave event that a participant has handed over, and locks it. */
export async function lockDelegatedLeave(
  tx: Tx,
  { livekit_room, identity }: Pick<LeaveKey, 'livekit_room' | 'identity'>,
): Promise<DelegatedLeaveRow | undefined> {
  const { rows } = await sql<DelegatedLeaveRow>`select * from delegated_leaves
    where livekit_room = ${livekit_room} and identity = ${identity} for update`.execute(tx.sql)
  return rows[0]
}

/** Stores a delegated leave event in place of an earlier one of the participant, and wakes all processes. */
export async function putDelegatedLeave(tx: Tx, row: DelegatedLeaveRow): Promise<void> {
  await sql`insert into delegated_leaves (livekit_room, identity, user_id, server_name, base_url, delay_id, delay_ms,
      restarted_ts, connected, gone_ts, ready_ts)
    values (${row.livekit_room}, ${row.identity}, ${row.user_id}, ${row.server_name}, ${row.base_url}, ${row.delay_id},
      ${row.delay_ms}::bigint, ${row.restarted_ts}::bigint, ${row.connected}, ${row.gone_ts}::bigint,
      ${row.ready_ts}::bigint)
    on conflict (livekit_room, identity) do update set user_id = excluded.user_id, server_name = excluded.server_name,
      base_url = excluded.base_url, delay_id = excluded.delay_id, delay_ms = excluded.delay_ms,
      restarted_ts = excluded.restarted_ts, connected = excluded.connected, gone_ts = excluded.gone_ts,
      ready_ts = excluded.ready_ts`.execute(tx.sql)
  appendToStream(tx, { kind: 'delegated_leave' })
}

/** The numbers of other participants' delegated leave events: of the user, of the user's server, and in all. */
export type DelegatedCounts = { ofUser: number; ofServer: number; all: number }

export async function countDelegatedLeaves(
  db: Db,
  { user_id, server_name, livekit_room, identity }: DelegatedLeaveRow,
): Promise<DelegatedCounts> {
  const { rows } = await sql<DelegatedCounts>`select
      (select count(*)::int from delegated_leaves where user_id = ${user_id}
        and (livekit_room, identity) <> (${livekit_room}, ${identity})) as "ofUser",
      (select count(*)::int from delegated_leaves where server_name = ${server_name}
        and (livekit_room, identity) <> (${livekit_room}, ${identity})) as "ofServer",
      (select count(*)::int from delegated_leaves where ready_ts >= 0
        and (livekit_room, identity) <> (${livekit_room}, ${identity})) as "all"`.execute(db.sql)
  return rows[0]!
}

/**
 * Acquires leases until `until` on the delegated leave events of rooms in LiveKit that have a due one, except some
 * rooms. Those of participants who are gone, which are being sent, are leased only when they are due themselves.
 * `limit`: the number of due events.
 */
export async function leaseDueLeaves(
  tx: Tx,
  { now, until, limit, except }: { now: number; until: number; limit: number; except: readonly string[] },
): Promise<DelegatedLeaveRow[]> {
  const { rows } = await sql<DelegatedLeaveRow>`update delegated_leaves set ready_ts = ${until}::bigint
    where (livekit_room, identity) in (
      select livekit_room, identity from delegated_leaves where livekit_room in (
        select livekit_room from delegated_leaves where ready_ts <= ${now}::bigint
          and livekit_room <> all(${except}::text[])
        order by ready_ts limit ${limit}::int)
        and (ready_ts <= ${now}::bigint or gone_ts > ${now}::bigint)
      for update skip locked) returning *`.execute(tx.sql)
  return rows
}

/** Returns when (milliseconds since 1970) the first delegated leave event is due, except those of some rooms. */
export async function firstDueLeave(db: Db, except: readonly string[]): Promise<number | null> {
  const { rows } = await sql<{ first: number | null }>`select min(ready_ts) as first from delegated_leaves
    where livekit_room <> all(${except}::text[])`.execute(db.sql)
  return rows[0]!.first
}

/**
 * Stores what a check of a room in LiveKit found. Rows that changed since they were leased stay as they are: LiveKit
 * has reported a change, or the participant has handed over another event.
 */
export async function storeCheckedLeaves(
  tx: Tx,
  checked: readonly { leased: DelegatedLeaveRow; now: DelegatedLeaveRow }[],
): Promise<void> {
  if (checked.length === 0) return
  const before = checked.map(({ leased }) => leased)
  const after = checked.map(({ now }) => now)
  await sql`update delegated_leaves as l set connected = c.connected, gone_ts = c.gone_ts, ready_ts = c.ready_ts,
      restarted_ts = c.restarted_ts
    from unnest(${before.map((row) => row.livekit_room)}::text[], ${before.map((row) => row.identity)}::text[],
      ${before.map((row) => row.delay_id)}::text[], ${before.map((row) => row.gone_ts)}::bigint[],
      ${after.map((row) => row.connected)}::boolean[], ${after.map((row) => row.gone_ts)}::bigint[],
      ${after.map((row) => row.ready_ts)}::bigint[], ${after.map((row) => row.restarted_ts)}::bigint[])
      as c (livekit_room, identity, delay_id, leased_gone_ts, connected, gone_ts, ready_ts, restarted_ts)
    where l.livekit_room = c.livekit_room and l.identity = c.identity and l.delay_id = c.delay_id
      and l.gone_ts = c.leased_gone_ts`.execute(tx.sql)
}

/** Records that a delayed event was restarted. */
export async function noteLeaveRestarted(tx: Tx, { livekit_room, identity, delay_id }: LeaveKey, now: number) {
  await sql`update delegated_leaves set restarted_ts = ${now}::bigint
    where livekit_room = ${livekit_room} and identity = ${identity} and delay_id = ${delay_id}`.execute(tx.sql)
}

/** Sets when a delegated leave event is due again. */
export async function postponeLeave(tx: Tx, { livekit_room, identity, delay_id }: LeaveKey, readyTs: number) {
  await sql`update delegated_leaves set ready_ts = ${readyTs}::bigint
    where livekit_room = ${livekit_room} and identity = ${identity} and delay_id = ${delay_id}`.execute(tx.sql)
}

export async function deleteLeaves(tx: Tx, keys: readonly LeaveKey[]): Promise<void> {
  if (keys.length === 0) return
  await sql`delete from delegated_leaves as l using unnest(${keys.map((key) => key.livekit_room)}::text[],
      ${keys.map((key) => key.identity)}::text[], ${keys.map((key) => key.delay_id)}::text[])
      as k (livekit_room, identity, delay_id)
    where l.livekit_room = k.livekit_room and l.identity = k.identity and l.delay_id = k.delay_id`.execute(tx.sql)
}

/** Deletes all delegated leave events of a user. */
export async function deleteLeavesOfUser(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('delegated_leaves').where('user_id', '=', userId).execute()
}

/**
 * Records that a participant has left a room in LiveKit: the next check decides whether they are back. If they were
 * not seen connected, the report may be about an earlier connection; then they have until `unseenUntil` to connect.
 */
export async function markParticipantLeft(
  tx: Tx,
  { room, identity, now, unseenUntil }: { room: string; identity: string; now: number; unseenUntil: number },
): Promise<void> {
  const result = await sql`update delegated_leaves set ready_ts = ${now}::bigint,
      gone_ts = least(gone_ts, case when connected then ${now}::bigint else ${unseenUntil}::bigint end)
    where livekit_room = ${room} and identity = ${identity}`.execute(tx.sql)
  if (result.numAffectedRows !== 0n) appendToStream(tx, { kind: 'delegated_leave' })
}

/** Makes the leave events of a room in LiveKit, or of one of its participants, due immediately. */
export async function checkLeavesNow(
  tx: Tx,
  { room, identity, now }: { room: string; identity: string | undefined; now: number },
): Promise<void> {
  const result = await sql`update delegated_leaves set ready_ts = ${now}::bigint
    where livekit_room = ${room} and (${identity ?? null}::text is null or identity = ${identity ?? null})
      and ready_ts > ${now}::bigint`.execute(tx.sql)
  if (result.numAffectedRows !== 0n) appendToStream(tx, { kind: 'delegated_leave' })
}
