import { sql } from 'kysely'
import type { RoomId, ServerName } from '../../core/ids.ts'
import type { Database, Tx } from '../engine/database.ts'
import type { RoomHeadRow } from '../schema/rooms.ts'
import { storeAppendedEvents } from './store-appended-events.ts'
import { cacheStoredEvent, forgetEvent, forgetIfRecomputed } from './timeline/events.ts'
import { emptyRoom, type LockedRoom, snapshotOf } from './timeline/locked-room.ts'
import { roomHead } from './timeline/room-heads.ts'

/** Runs commands that change rooms; under load, many per transaction. */
export type RoomTransactions = {
  /**
   * Runs `command` with the room locked; `roomId` null: a room that the command creates. Resolves when its events are
   * committed. For a room that this server does not have, the head is undefined; if another process creates it in the
   * meantime, the transaction is refused and retried. Rejects with the error of the command. The command must do no I/O
   * except reads through the room, because others wait in the same transaction; it may run more than once. `goesFirst`:
   * it sees the room as stored, without changes of other commands of the transaction.
   */
  run<Result>(
    roomId: RoomId | null,
    command: (room: LockedRoom) => Promise<Result>,
    options?: { goesFirst: boolean },
  ): Promise<Result>
  /** Resolves when nothing is queued or running. */
  drained(): Promise<void>
}

type Job = {
  roomId: RoomId | null
  command: (room: LockedRoom) => Promise<unknown>
  goesFirst: boolean
  resolve(value: unknown): void
  reject(error: unknown): void
}
type Outcome = { value: unknown } | { error: unknown }

type Server = { serverName: ServerName; clock: { now(): number } }

const MAX_BATCH = 64

/** `lanes`: the number of concurrent transactions (1 on the embedded database, which has one connection). */
export function createRoomTransactions(
  database: Database,
  { lanes, ...server }: { lanes: number } & Server,
): RoomTransactions {
  let queue: Job[] = []
  let running = 0
  let isStarting = false
  const busyRooms = new Set<RoomId>()
  const idleWaiters: (() => void)[] = []

  function run<Result>(
    roomId: RoomId | null,
    command: (room: LockedRoom) => Promise<Result>,
    { goesFirst } = { goesFirst: false },
  ): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      queue.push({ roomId, command, goesFirst, resolve: resolve as (value: unknown) => void, reject })
      // Commands of the same tick share a transaction. Others in the queue may wait for their rooms while lanes are
      // free.
      if (!isStarting) setImmediate(startLanes)
      isStarting = true
    })
  }

  function startLanes(): void {
    isStarting = false
    while (running < lanes) {
      const { batch, rest } = takeBatch(queue, busyRooms)
      queue = rest
      if (batch.length === 0) return
      running++
      for (const job of batch) if (job.roomId) busyRooms.add(job.roomId)
      runBatch(database, server, batch).finally(() => {
        running--
        for (const job of batch) if (job.roomId) busyRooms.delete(job.roomId)
        startLanes()
        if (running === 0 && queue.length === 0) for (const wake of idleWaiters.splice(0)) wake()
      })
    }
  }

  return {
    run,
    drained: () =>
      running === 0 && queue.length === 0 ? Promise.resolve() : new Promise((resolve) => idleWaiters.push(resolve)),
  }
}

/** Divides the queue into jobs that can run together now, and the rest. */
function takeBatch(queue: readonly Job[], busyRooms: ReadonlySet<RoomId>): { batch: Job[]; rest: Job[] } {
  const batch: Job[] = []
  const rest: Job[] = []
  const taken = new Set<RoomId | null>()
  /** Rooms for which a `goesFirst` command waits: later commands wait too, so that it gets its turn. */
  const held = new Set<RoomId | null>()
  for (const job of queue) {
    const { roomId, goesFirst } = job
    if (goesFirst && taken.has(roomId)) held.add(roomId)
    const isBusy = roomId !== null && (busyRooms.has(roomId) || held.has(roomId))
    if (batch.length >= MAX_BATCH || isBusy) rest.push(job)
    else {
      batch.push(job)
      taken.add(roomId)
    }
  }
  return { batch, rest }
}

/**
 * Runs the jobs in one transaction; if the database refuses it, runs each in its own, so that only the failing one
 * fails.
 */
async function runBatch(database: Database, server: Server, jobs: readonly Job[]): Promise<void> {
  try {
    const outcomes = await database.write((tx) => runInTransaction(tx, server, jobs))
    for (const [place, job] of jobs.entries()) settle(job, outcomes[place]!)
  } catch (error) {
    if (jobs.length === 1) return jobs[0]!.reject(error)
    for (const job of jobs) await runBatch(database, server, [job])
  }
}

function settle(job: Job, outcome: Outcome): void {
  if ('error' in outcome) job.reject(outcome.error)
  else job.resolve(outcome.value)
}

async function runInTransaction(
  tx: Tx,
  { serverName: ourName, clock }: Server,
  jobs: readonly Job[],
): Promise<Outcome[]> {
  const known = await lockRooms(tx, [...new Set(jobs.flatMap((job) => job.roomId ?? []))])
  const rooms = [...known.values()]
  const outcomes: Outcome[] = []
  for (const job of jobs) {
    const found = job.roomId && known.get(job.roomId)
    const room = found || emptyRoom(tx)
    if (!found) rooms.push(room)
    // Another command of this transaction may see the room that this one creates.
    if (job.roomId) known.set(job.roomId, room)
    outcomes.push(await runJob(job, room))
  }
  const all = rooms.flatMap((room) => [room, ...room.newRooms])
  const writes = all.flatMap((room) => room.writes)
  await storeAppendedEvents(
    tx,
    { ourName, now: clock.now(), isLast: writes.length === 0 },
    all.filter((room) => room.events.length + room.redactions.length > 0),
  )
  for (const write of writes) await write(tx)
  tx.afterCommit(() => publishToCaches(tx, all))
  return outcomes
}

async function runJob(job: Job, room: LockedRoom): Promise<Outcome> {
  const restore = snapshotOf(room)
  try {
    return { value: await job.command(room) }
  } catch (error) {
    restore()
    return { error }
  }
}

/** Locks in order of room ids, as all code does, so that two processes cannot deadlock. */
async function lockRooms(tx: Tx, roomIds: readonly RoomId[]): Promise<Map<RoomId, LockedRoom>> {
  if (roomIds.length === 0) return new Map()
  const { rows } = await sql<RoomHeadRow & { is_blocked: boolean }>`select *,
      exists (select 1 from room_blocks where room_blocks.room_id = room_heads.room_id) as is_blocked
    from room_heads where room_id = any(${roomIds}::text[]) order by room_id for update`.execute(tx.sql)
  return new Map(
    rows.map(({ is_blocked: isBlocked, ...row }) => {
      const { room_id, has_other_servers: hasOtherServers, sticky_until: stickyUntil, recomputations } = row
      forgetIfRecomputed(tx, room_id, recomputations)
      const before = { isNew: false, isBlocked, rootBefore: row.state_root, hasOtherServers, stickyUntil }
      return [room_id, { ...emptyRoom(tx), ...before, head: roomHead(row) }]
    }),
  )
}

function publishToCaches(tx: Tx, rooms: readonly LockedRoom[]): void {
  for (const room of rooms) {
    for (const event of room.events) cacheStoredEvent(tx, event)
    for (const [address, node] of room.nodes) tx.caches.stateNodes.set(address, node)
    for (const [roots, root] of room.resolutions) tx.caches.resolutions.set(roots, root)
    for (const { event } of room.redactions) forgetEvent(tx, event.event_id)
  }
}
