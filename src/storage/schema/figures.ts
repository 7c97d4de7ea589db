/** Tables of what the server does over time, and alerts: `migrations/0019_figures.sql`. */
export type FigureTables = {
  figure_processes: FigureProcessRow
  figures: FigureRow
  figure_upkeep: FigureUpkeepRow
  alerts: AlertRow
}

export type FigureProcessRow = {
  process: number
  holder: string
  leased_until: number
  host: string
  pid: number
  version: string
  started_ts: number
}

export type FigureRow = {
  resolution: number
  step_ts: number
  process: number
  load: string
  routes: string | null
  clients: string | null
  peers: string | null
}

export type FigureUpkeepRow = { only_row: boolean; due_ts: number; slow_due_ts: number; done: string }

export type AlertRow = {
  alert_nid: number
  kind: string
  subject: string
  begun_ts: number
  seen_ts: number
  ended_ts: number | null
  value: number
}
