import { type Load, noLoad } from '../../core/figures/load.ts'
import { largest, type TrafficTable } from '../../core/figures/traffic.ts'
import type { FigureRow } from '../../storage/schema/figures.ts'

/** The load in a step. Absent tables: the row of another process has them. */
export type Step = {
  load: Load
  routes?: TrafficTable
  clients?: TrafficTable
  peers?: TrafficTable
}

/** How many entries a step has besides the sum of all others. Kinds of clients are fewer. */
const MOST = { routes: 24, clients: 24, peers: 20 }

/** Returns a step as it is stored. */
export function stepRow(
  { load, routes, clients, peers }: Step,
  key: Pick<FigureRow, 'resolution' | 'step_ts' | 'process'>,
): FigureRow {
  return {
    ...key,
    load: textOf(load),
    routes: routes ? tableText(routes, MOST.routes) : null,
    clients: clients ? tableText(clients, MOST.clients) : null,
    peers: peers ? tableText(peers, MOST.peers) : null,
  }
}

/** Reads what a process did from a stored step. */
export function parseLoad(text: string): Load {
  return { ...noLoad(), ...JSON.parse(text) }
}

/** Reads routes, clients or peers from a stored step. */
export function parseTable(text: string): TrafficTable {
  return new Map(Object.entries(JSON.parse(text)))
}

function tableText(table: TrafficTable, limit: number): string {
  return textOf(Object.fromEntries(largest(table, limit)))
}

/** Four decimals are enough for seconds, and keep rows short. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_key, each) => (typeof each === 'number' ? Math.round(each * 1e4) / 1e4 : each))
}
