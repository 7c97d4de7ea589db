import { sql } from 'kysely'
import type { RoomId, UserId } from '../core/ids.ts'
import { loadLostPositions } from '../storage/backup/after-restore.ts'
import type { Database } from '../storage/engine/database.ts'
import { loadPresenceChanges } from '../storage/presence/presence.ts'
import {
  forgetEvent,
  forgetIfElsewhere,
  forgetNid,
  forgetRemovedRoom,
  forgetRoomEvents,
} from '../storage/rooms/timeline/events.ts'
import type { StreamRow } from '../storage/schema/stream.ts'
import { loadErasedUsers } from '../storage/users/erasures.ts'
import type { Logger } from './logger.ts'

/** The newest part of the stream in memory, kept current across all processes of the server. */
export type StreamTail = {
  /** The newest position that this process has seen; subscribers have received all rows up to it. */
  position(): number
  /** Reads what other processes have committed; returns the position after it. Concurrent calls share a query. */
  refresh(): Promise<number>
  /** Resolves when this process has seen a position of a commit; undefined: what was committed before the call. */
  reach(position: number | undefined): Promise<void>
  /**
   * Returns the rows after `from` up to and including `to`, oldest first: from memory, or from the database if they are
   * too old.
   */
  rowsBetween(range: Range): Promise<StreamRow[]>
  /** Returns the users whose presence changed after `from` up to and including `to`. */
  presencesBetween(from: number, to: number): Promise<UserId[]>
  /** Whether a position was given out by a database that a restored backup has replaced. */
  isLost(position: number): boolean
  /** Registers a subscriber for all rows, in order, once each. Returns a function that removes it. */
  subscribe(listener: (rows: readonly StreamRow[]) => void): () => void
  stop(): Promise<void>
}

type Range = { from: number; to: number; roomIds: ReadonlySet<string>; userId: string }

const CHANNEL = 'hearth_stream'
const POLL_MS = 1000
/** The minimum interval of hints to other processes. */
const HINT_MS = 10
const KEPT_ROWS = 20_000
const READ_ROWS = 5000

/** Starts to follow the stream from its current end. */
export async function startStreamTail(database: Database, logger: Logger): Promise<StreamTail> {
  const kept = createKeptRows(database, await lastPosition(database))
  // Backups are restored while no process runs.
  const lost = await loadLostPositions(database)
  for (const userId of await loadErasedUsers(database)) database.caches.erasedUsers.add(userId)
  const hints = createHints(database, logger)
  const reading = shareReading(async () => {
    const result = await sql<StreamRow>`select * from stream where stream_position > ${kept.position()}::bigint
      order by stream_position limit ${READ_ROWS}::int`.execute(database.sql)
    kept.accept(result.rows)
    return result.rows.length === READ_ROWS
  })

  async function refresh(): Promise<number> {
    await reading.again()
    return kept.position()
  }

  async function reach(position: number | undefined): Promise<void> {
    if (position === undefined || position > kept.position()) await refresh()
  }

  function refreshLater(): void {
    if (!reading.isStopped())
      refresh().catch((error) => logger.warn({ err: error }, 'reading of stream failed, will retry'))
  }

  database.onCommit(({ lastPosition: last, rows: committed }) => {
    if (last === undefined) return
    hints.send(last)
    const first = last - committed.length + 1
    const position = kept.position()
    // Positions of one transaction are consecutive; if they directly follow ours, no query is needed.
    if (first === position + 1) kept.accept(committed.map((row, place) => ({ ...row, stream_position: first + place })))
    else if (last > position) refreshLater()
  })

  const stopListening = await database.listen(CHANNEL, (hinted) => {
    // Its own hints, and those that come after a read, are no news.
    if (Number(hinted) > kept.position()) refreshLater()
  })
  const poll = setInterval(refreshLater, POLL_MS)

  return {
    position: kept.position,
    refresh,
    reach,
    rowsBetween: kept.rowsBetween,
    presencesBetween: kept.presencesBetween,
    isLost: (position) => lost.some(({ lostAfter, resumedAt }) => position > lostAfter && position < resumedAt),
    subscribe: kept.subscribe,
    async stop() {
      const ended = reading.stop()
      clearInterval(poll)
      hints.stop()
      await stopListening()
      await ended
    },
  }
}

/** The newest rows in memory, up to a position, and their subscribers. */
function createKeptRows(database: Database, start: number) {
  let position = start
  /** All rows above `floor` are in `rows`. */
  let floor = start
  let rows: StreamRow[] = []
  const listeners = new Set<(rows: readonly StreamRow[]) => void>()
  return {
    position: () => position,
    accept(fresh: readonly StreamRow[]): void {
      const unseen = fresh.filter((row) => row.stream_position > position)
      if (unseen.length === 0) return
      position = unseen.at(-1)!.stream_position
      rows.push(...unseen)
      if (rows.length > 2 * KEPT_ROWS) {
        rows = rows.slice(-KEPT_ROWS)
        floor = rows[0]!.stream_position - 1
      }
      for (const row of unseen) forgetWhatChanged(database, row)
      const removals = unseen.filter(({ kind }) => kind === 'room_removed')
      const removed = new Map(removals.map(({ detail, stream_position }) => [detail, stream_position]))
      // The data that they refer to is being deleted. Later ones are of users who have entered the room again.
      if (removed.size > 0) rows = rows.filter((row) => row.stream_position > (removed.get(row.room_id) ?? 0))
      for (const listener of listeners) listener(unseen)
    },
    async rowsBetween(range: Range): Promise<StreamRow[]> {
      if (range.from >= range.to) return []
      return range.from >= floor ? inMemory(rows, range) : inDatabase(database, range)
    },
    async presencesBetween(from: number, to: number): Promise<UserId[]> {
      if (from >= to) return []
      return from >= floor ? presencesInMemory(rows, from, to) : loadPresenceChanges(database, from, to)
    },
    subscribe(listener: (rows: readonly StreamRow[]) => void): () => void {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/**
 * Lets concurrent callers share reads: a caller gets the result of a query that started after the call. `read` returns
 * whether there is more, and is called again then, and after a call during its run.
 */
function shareReading(read: () => Promise<boolean>) {
  let reading: Promise<void> | undefined
  let isAskedAgain = false
  let isStopped = false

  async function readAll(): Promise<void> {
    try {
      let isMore: boolean
      do {
        isAskedAgain = false
        isMore = await read()
      } while ((isMore || isAskedAgain) && !isStopped)
    } finally {
      // Set here and not later: callers from now on need a new query.
      reading = undefined
    }
  }

  return {
    again(): Promise<void> {
      // A query in progress may have started before the commit that the caller needs.
      if (reading) isAskedAgain = true
      else reading = readAll()
      return reading
    },
    isStopped: () => isStopped,
    async stop(): Promise<void> {
      isStopped = true
      await reading?.catch(() => {})
    },
  }
}

/**
 * Sends hints to other processes that the stream has grown to a position: the first immediately, but after the work of
 * this turn of the event loop, which answers waiting clients.
 */
function createHints(database: Database, logger: Logger): { send(position: number): void; stop(): void } {
  let newest = 0
  let sent = 0
  /** A hint is about to be sent, or was sent just now. */
  let isBusy = false
  let isStopped = false

  function sendNow(): void {
    isBusy = newest > sent && !isStopped
    if (!isBusy) return
    sent = newest
    sql`select pg_notify(${CHANNEL}, ${String(sent)})`
      .execute(database.sql)
      .catch((error) => logger.warn({ err: error }, 'notification of other processes failed'))
    setTimeout(sendNow, HINT_MS)
  }

  return {
    send(position) {
      newest = Math.max(newest, position)
      if (database.engine === 'pglite' || isBusy) return
      isBusy = true
      setImmediate(sendNow)
    },
    stop() {
      isStopped = true
    },
  }
}

/** Evicts what changed; otherwise cached data is immutable. */
function forgetWhatChanged(database: Database, { kind, room_id, ref, detail }: StreamRow): void {
  if (kind === 'erasure') database.caches.erasedUsers.add(detail as UserId)
  if (kind === 'erasure_ended') database.caches.erasedUsers.delete(detail as UserId)
  if (kind === 'room_complete' && room_id !== null) forgetRoomEvents(database, room_id)
  if (kind === 'room_removed') forgetRemovedRoom(database, detail as RoomId)
  if (kind === 'history_purged') forgetRoomEvents(database, detail as RoomId)
  const isEvent = kind === 'event' || kind === 'history'
  if (isEvent && detail?.startsWith('redacts ')) forgetEvent(database, detail.slice('redacts '.length))
  // It was an outlier, rejected or withheld when it was cached.
  if (kind === 'event' && ref !== null) forgetIfElsewhere(database, ref)
  if (kind === 'event_changed' && ref !== null) forgetNid(database, ref)
}

async function inDatabase(database: Database, { from, to, roomIds, userId }: Range): Promise<StreamRow[]> {
  const result =
    await sql<StreamRow>`select * from stream where stream_position > ${from}::bigint and stream_position <= ${to}::bigint
    and (room_id = any(${[...roomIds]}::text[]) or user_id = ${userId}) order by stream_position`.execute(database.sql)
  return result.rows
}

function inMemory(rows: readonly StreamRow[], { from, to, roomIds, userId }: Range): StreamRow[] {
  const found: StreamRow[] = []
  for (let i = firstAfter(rows, from); i < rows.length && rows[i]!.stream_position <= to; i++) {
    const row = rows[i]!
    if (row.user_id === userId || (row.room_id !== null && roomIds.has(row.room_id))) found.push(row)
  }
  return found
}

function presencesInMemory(rows: readonly StreamRow[], from: number, to: number): UserId[] {
  const users = new Set<UserId>()
  for (let i = firstAfter(rows, from); i < rows.length && rows[i]!.stream_position <= to; i++) {
    const { kind, user_id } = rows[i]!
    if (kind === 'presence' && user_id !== null) users.add(user_id)
  }
  return [...users]
}

/** Returns the index of the first row above a position. */
function firstAfter(rows: readonly StreamRow[], position: number): number {
  let low = 0
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (rows[middle]!.stream_position <= position) low = middle + 1
    else high = middle
  }
  return low
}

async function lastPosition(database: Database): Promise<number> {
  const { rows } = await sql<{ last: number | null }>`select max(stream_position) as last from stream`.execute(
    database.sql,
  )
  return rows[0]?.last ?? 0
}
