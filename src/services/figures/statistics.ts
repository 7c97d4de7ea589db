import type { App } from '../../app.ts'
import type { LoadName } from '../../core/figures/load.ts'
import { countRegistrations, listTableSizes, type TableSize } from '../../storage/figures/statistics.ts'
import { estimateRoomSizes, type RoomSize } from '../../storage/rooms/room-sizes.ts'
import { readLoads } from './read-figures.ts'

/** Totals of a day (UTC); null: not collected. `messages`: of all servers; `messages_sent`: of own users. */
export type DayStatistics = {
  /** Such as 2026-11-30. */
  date: string
  daily_active_users: number | null
  monthly_active_users: number | null
  messages: number | null
  messages_sent: number | null
  joins: number | null
  registrations: number
}

export type Statistics = {
  /** The last one is today, as far as it is. */
  days: DayStatistics[]
  /** Tables of the database, the largest first. */
  tables: TableSize[]
  /** The rooms that take most of the database, as estimated by its statistics. */
  rooms: RoomSize[]
}

const DAY_MS = 86_400_000
const MOST_ROOMS = 10

/** Returns statistics of the last days, and what the database is used for. */
export async function readStatistics(app: Pick<App, 'database' | 'clock'>, days: number): Promise<Statistics> {
  const now = app.clock.now()
  const today = now - (now % DAY_MS)
  const from = today - (days - 1) * DAY_MS
  const [loads, registrations, tables, rooms] = await Promise.all([
    readLoads(app, { from, to: now, step: DAY_MS / 1000 }),
    countRegistrations(app.database, from),
    listTableSizes(app.database),
    estimateRoomSizes(app.database, MOST_ROOMS),
  ])
  const dayAt = (start: number): DayStatistics => {
    const value = (name: LoadName) => loads.get(start)?.values[name] ?? null
    return {
      date: new Date(start).toISOString().slice(0, 10),
      daily_active_users: value('daily_active_users'),
      monthly_active_users: value('monthly_active_users'),
      messages: value('messages'),
      messages_sent: value('messages_sent'),
      joins: value('joins'),
      registrations: registrations.get(start / DAY_MS) ?? 0,
    }
  }
  return { days: Array.from({ length: days }, (_, n) => dayAt(from + n * DAY_MS)), tables, rooms }
}
