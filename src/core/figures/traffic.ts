/**
 * Requests of one kind: their number, the seconds they took, bytes received and sent, then their number by bucket of
 * durations (durations.ts). Numbers missing at the end are 0.
 */
export type Traffic = number[]

/** Traffic by route, kind of client, or remote server. `OTHERS`: of all that have no entry. */
export type TrafficTable = Map<string, Traffic>

export const OTHERS = ''

/** Where the counts by bucket begin. */
export const BUCKETS = 4

/** Adds traffic to other traffic. */
export function sumTraffic(into: Traffic, traffic: readonly number[]): void {
  for (const [place, value] of traffic.entries()) into[place] = (into[place] ?? 0) + value
}

/** Adds the entries of a table to another. */
export function sumTables(into: TrafficTable, table: ReadonlyMap<string, readonly number[]>): void {
  for (const [name, traffic] of table) {
    const known = into.get(name)
    if (known) sumTraffic(known, traffic)
    else into.set(name, [...traffic])
  }
}

/** Returns a table with the entries that have most traffic, at most `limit` and `OTHERS`; the sum stays the same. */
export function largest(table: ReadonlyMap<string, Traffic>, limit: number): TrafficTable {
  if (table.size <= limit) return new Map(table)
  const total: Traffic = []
  for (const traffic of table.values()) sumTraffic(total, traffic)
  const ranked = [...table]
    .filter(([name]) => name !== OTHERS)
    .sort((a, b) => weight(b[1], total) - weight(a[1], total))
  const others: Traffic = [...(table.get(OTHERS) ?? [])]
  for (const [, traffic] of ranked.slice(limit)) sumTraffic(others, traffic)
  const kept = new Map(ranked.slice(0, limit))
  return others.length > 0 ? kept.set(OTHERS, others) : kept
}

/** The parts of all requests, of their time, and of their bytes: an entry may matter by any of them. */
function weight(traffic: Traffic, total: Traffic): number {
  const part = (place: number) => (traffic[place] ?? 0) / Math.max(total[place] ?? 0, Number.MIN_VALUE)
  return part(0) + part(1) + part(2) + part(3)
}
