import { sql } from 'kysely'
import type { DeviceId, RoomId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { sharedLoads } from '../engine/shared-loads.ts'
import { appendToStream } from '../engine/stream-append.ts'
import { loadJoinedRooms } from '../rooms/membership/room-memberships.ts'
import type { PresenceRow, PresenceState } from '../schema/presence.ts'

/** A change of a user's presence that this process has received. */
export type PresenceChange = {
  userId: UserId
  /**
   * The presence of a device; 'offline': it is disconnected from this process or, if the user set it, from all
   * (`everywhere`). Undefined: no change.
   */
  device?: { deviceId: DeviceId | null; presence: PresenceState; everywhere?: boolean } | undefined
  /** A new status message, null for none; undefined: no change. */
  statusMsg?: string | null | undefined
  /** Whether the user was active just now. */
  isActive: boolean
}

/** The writing process, the time (milliseconds since 1970), and after which idle time a user becomes unavailable. */
export type PresenceWrite = { processId: string; now: number; idleMs: number }

/**
 * Stores changes, the newest last, and appends to the stream (kind 'presence', user_id: the user, detail: the writing
 * process) if the visible presence changed.
 */
export async function storePresence(tx: Tx, changes: readonly PresenceChange[], write: PresenceWrite): Promise<void> {
  const userIds = [...new Set(changes.map((change) => change.userId))]
  await storeDevices(tx, changes, write)
  const changed = new Set(await storeStatuses(tx, userIds, changes, write))
  for (const userId of await settle(tx, sql`user_id = any(${userIds}::text[])`, write)) changed.add(userId)
  tellStream(tx, changed, write)
}

/**
 * Makes idle users unavailable, and users offline whose devices are all disconnected, or about whom their server has
 * sent nothing since `heardBefore`.
 */
export async function settleAllPresence(tx: Tx, write: PresenceWrite, heardBefore: number): Promise<void> {
  tellStream(tx, await settle(tx, sql`presence <> 'offline' and heard_ts is null`, write), write)
  const { rows } = await sql<{ user_id: UserId }>`update presence set presence = 'offline'
    where heard_ts < ${heardBefore}::bigint and presence <> 'offline' returning user_id`.execute(tx.sql)
  tellStream(
    tx,
    rows.map((row) => row.user_id),
    write,
  )
}

function tellStream(tx: Tx, userIds: Iterable<UserId>, { processId }: PresenceWrite): void {
  for (const userId of userIds) appendToStream(tx, { kind: 'presence', user_id: userId, detail: processId })
}

async function storeDevices(tx: Tx, changes: readonly PresenceChange[], { processId }: PresenceWrite): Promise<void> {
  const newest = new Map(
    changes.flatMap(({ userId, device }) =>
      device ? [[`${userId} ${device.deviceId}`, { userId, ...device }] as const] : [],
    ),
  )
  const devices = [...newest.values()]
  const gone = devices.filter(({ presence }) => presence === 'offline')
  const present = devices.filter(({ presence }) => presence !== 'offline')
  const columns = (of: typeof devices) =>
    sql`${of.map((device) => device.userId)}::text[], ${of.map((device) => device.deviceId ?? '')}::text[]`
  if (gone.length > 0) {
    const everywhere = gone.map((device) => device.everywhere ?? false)
    await sql`delete from presence_devices using unnest(${columns(gone)}, ${everywhere}::boolean[]) as gone(user_id, device_id, everywhere)
      where presence_devices.user_id = gone.user_id and presence_devices.device_id = gone.device_id
        and (process_id = ${processId} or gone.everywhere)`.execute(tx.sql)
  }
  if (present.length === 0) return
  const said = sql`unnest(${columns(present)}, ${present.map((device) => device.presence)}::text[]) as said(user_id, device_id, presence)`
  await sql`insert into presence_devices (user_id, device_id, process_id, presence)
    select user_id, device_id, ${processId}, presence from ${said}
    on conflict (user_id, device_id, process_id) do update set presence = excluded.presence`.execute(tx.sql)
  // The presence that the device set through other processes is outdated.
  await sql`update presence_devices set presence = said.presence from ${said}
    where presence_devices.user_id = said.user_id and presence_devices.device_id = said.device_id
      and presence_devices.presence <> said.presence`.execute(tx.sql)
}

/** Returns the users whose status message changed. */
async function storeStatuses(
  tx: Tx,
  userIds: readonly UserId[],
  changes: readonly PresenceChange[],
  { now }: PresenceWrite,
): Promise<UserId[]> {
  const users = userIds.map((userId) => {
    const own = changes.filter((change) => change.userId === userId)
    const status = own.findLast((change) => change.statusMsg !== undefined)
    return { hasStatus: status !== undefined, statusMsg: status?.statusMsg ?? null, isActive: own.some(isActive) }
  })
  const { rows } = await sql<{ user_id: UserId }>`with said as (
      select * from unnest(${userIds}::text[], ${users.map((user) => user.hasStatus)}::boolean[],
        ${users.map((user) => user.statusMsg)}::text[], ${users.map((user) => user.isActive)}::boolean[])
        as said(user_id, has_status, status_msg, is_active)
    ), known as (
      select said.*, presence.user_id is not null as is_known, presence.status_msg as old_status
      from said left join presence using (user_id)
    ), stored as (
      insert into presence (user_id, presence, status_msg, last_active_ts)
      select user_id, 'offline', case when has_status then status_msg else old_status end,
        case when is_active then ${now}::bigint else 0 end from known order by user_id
      on conflict (user_id) do update set status_msg = excluded.status_msg,
        last_active_ts = greatest(presence.last_active_ts, excluded.last_active_ts)
    )
    select user_id from known where has_status and status_msg is distinct from old_status`.execute(tx.sql)
  return rows.map((row) => row.user_id)
}

function isActive(change: PresenceChange): boolean {
  return change.isActive
}

/** Computes the visible presence from the devices. */
async function settle(tx: Tx, whose: ReturnType<typeof sql>, { now, idleMs }: PresenceWrite): Promise<UserId[]> {
  const { rows } = await sql<{ user_id: UserId }>`update presence set presence = derived.presence from (
      select user_id, case
        when bool_or(presence_devices.presence = 'online') and last_active_ts > ${now - idleMs}::bigint then 'online'
        when bool_or(presence_devices.presence is not null) then 'unavailable'
        else 'offline' end as presence
      from (select * from presence where ${whose} order by user_id for update) as presence
        left join presence_devices using (user_id)
      group by user_id, last_active_ts
    ) as derived
    where presence.user_id = derived.user_id and presence.presence <> derived.presence
    returning presence.user_id`.execute(tx.sql)
  return rows.map((row) => row.user_id)
}

/** Records a heartbeat of a process; false: it was considered dead, and the presence of its devices was deleted. */
export async function beatPresence(tx: Tx, { processId, now }: PresenceWrite): Promise<boolean> {
  const { rows } = await sql<{ is_new: boolean }>`insert into presence_processes (process_id, seen_ts)
    values (${processId}, ${now}::bigint) on conflict (process_id) do update set seen_ts = excluded.seen_ts
    returning xmax = 0 as is_new`.execute(tx.sql)
  return rows[0]?.is_new === false
}

/** Deletes processes without a heartbeat since `before`, and `gone`, with the presence of their devices. */
export async function dropDeadPresence(tx: Tx, { before, gone }: { before: number; gone: string }): Promise<void> {
  await sql`delete from presence_processes where seen_ts < ${before}::bigint or process_id = ${gone}`.execute(tx.sql)
  await sql`delete from presence_devices where not exists (
    select 1 from presence_processes where presence_processes.process_id = presence_devices.process_id)`.execute(tx.sql)
}

/** Deletes the presence of deleted devices, and appends to the stream if the user is now offline. */
export async function dropDevicePresence(tx: Tx, userId: UserId, deviceIds: readonly DeviceId[]): Promise<void> {
  if (deviceIds.length === 0) return
  const { numAffectedRows } = await sql`delete from presence_devices where user_id = ${userId}
    and device_id = any(${deviceIds}::text[])`.execute(tx.sql)
  if (!numAffectedRows) return
  const { rows } = await sql<{ user_id: UserId }>`update presence set presence = 'offline'
    where user_id = ${userId} and presence <> 'offline' and heard_ts is null
      and not exists (select 1 from presence_devices where presence_devices.user_id = presence.user_id)
    returning user_id`.execute(tx.sql)
  for (const { user_id } of rows) appendToStream(tx, { kind: 'presence', user_id })
}

/** Clears a user's status message and time of activity, when the account is erased: the row tells others `offline`. */
export async function clearPresence(tx: Tx, userId: UserId): Promise<void> {
  const { numAffectedRows } = await sql`update presence set presence = 'offline', status_msg = null, last_active_ts = 0
    where user_id = ${userId}`.execute(tx.sql)
  if (numAffectedRows) appendToStream(tx, { kind: 'presence', user_id: userId })
}

/** Returns a user's presence; undefined if there is none. */
export async function findPresence(db: Db, userId: UserId): Promise<PresenceRow | undefined> {
  const { rows } = await sql<PresenceRow>`select * from presence where user_id = ${userId}`.execute(db.sql)
  return rows[0]
}

/** Returns the presence of some users of any server. */
export async function loadPresenceOf(db: Db, userIds: readonly UserId[]): Promise<PresenceRow[]> {
  if (userIds.length === 0) return []
  const { rows } = await sql<PresenceRow>`select * from presence where user_id = any(${userIds}::text[])`.execute(
    db.sql,
  )
  return rows
}

/** Whether two users share a room. */
export async function shareRoom(db: Db, userId: UserId, other: UserId): Promise<boolean> {
  const { rows } = await sql`select 1 from room_memberships as mine join room_memberships as theirs using (room_id)
    where mine.user_id = ${userId} and mine.membership = 'join' and theirs.user_id = ${other} and theirs.membership = 'join'
    limit 1`.execute(db.sql)
  return rows.length > 0
}

/** The maximum number in a response of online users, of changed users, and of users who joined. */
const MOST_PRESENT = 5000

/** Returns the presence of online users who share one of these rooms, `userId` included. */
export async function loadPresentUsers(db: Db, userId: UserId, roomIds: readonly RoomId[]): Promise<PresenceRow[]> {
  const { rows } = await sql<PresenceRow>`select * from presence where presence <> 'offline'
    and (user_id = ${userId} or exists (select 1 from room_memberships where room_memberships.user_id = presence.user_id
      and membership = 'join' and room_id = any(${roomIds}::text[])))
    order by user_id <> ${userId} limit ${MOST_PRESENT}::int`.execute(db.sql)
  return rows
}

/**
 * Returns the presence of users of `changed` who share one of `roomIds`; of users of `met`, who share one; and of
 * online members of `newRooms`.
 */
export async function loadPresenceNews(
  db: Db,
  userId: UserId,
  news: {
    roomIds: ReadonlySet<RoomId>
    changed: readonly UserId[]
    met: readonly UserId[]
    newRooms: readonly RoomId[]
  },
): Promise<PresenceRow[]> {
  const [joined, fresh] = await Promise.all([loadJoinedRooms(db, news.changed), loadPresentMembers(db, news.newRooms)])
  const concerns = (other: UserId) => other === userId || joined.get(other)?.some((roomId) => news.roomIds.has(roomId))
  const changed = new Set(news.changed.filter(concerns).slice(-MOST_PRESENT))
  const met = new Set(news.met.slice(-MOST_PRESENT))
  const known = await loadPresences(db, [...changed, ...met])
  const shown = [...known.values()].filter(
    (row) => changed.has(row.user_id) || (met.has(row.user_id) && row.presence !== 'offline'),
  )
  const others = fresh.filter((row) => row.user_id !== userId)
  return [...new Map([...shown, ...others].map((row) => [row.user_id, row])).values()]
}

/** Shared, because all users who share a room with a user request it when the user connects or disconnects. */
const loadPresences = sharedLoads<UserId, PresenceRow>(
  async (db, userIds) => {
    const { rows } = await sql<PresenceRow>`select * from presence where user_id = any(${userIds}::text[])`.execute(
      db.sql,
    )
    return new Map(rows.map((row) => [row.user_id, row]))
  },
  { whileReading: false },
)

async function loadPresentMembers(db: Db, roomIds: readonly RoomId[]): Promise<PresenceRow[]> {
  if (roomIds.length === 0) return []
  const { rows } = await sql<PresenceRow>`select distinct presence.* from room_memberships join presence using (user_id)
    where room_id = any(${roomIds}::text[]) and membership = 'join' and presence <> 'offline' limit ${MOST_PRESENT}::int`.execute(
    db.sql,
  )
  return rows
}

/** Returns the users whose presence changed after position `from` up to `to`. */
export async function loadPresenceChanges(db: Db, from: number, to: number): Promise<UserId[]> {
  const { rows } = await sql<{ user_id: UserId }>`select distinct user_id from stream where kind = 'presence'
    and stream_position > ${from}::bigint and stream_position <= ${to}::bigint`.execute(db.sql)
  return rows.map((row) => row.user_id)
}

/** Returns the rooms that any of these users has joined. */
export async function loadRoomsOfUsers(db: Db, userIds: readonly UserId[]): Promise<RoomId[]> {
  const { rows } = await sql<{ room_id: RoomId }>`select distinct room_id from room_memberships
    where user_id = any(${userIds}::text[]) and membership = 'join'`.execute(db.sql)
  return rows.map((row) => row.room_id)
}
