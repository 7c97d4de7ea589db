import type { Findings } from './findings.ts'

/** Messages that must arrive, and the ways by which each has. */
export type Deliveries = {
  /** `ways`: all by which it must arrive. */
  expect(eventId: string, what: string, ways: readonly string[]): void
  see(way: string, eventId: string): void
  /** Tells of those that are late; call it now and then. */
  check(): void
  arrived(): number
  pending(): number
}

/** On a machine that others load too. */
const DELIVERY_MS = 60_000
const REMEMBERED = 5_000

export function createDeliveries(findings: Findings): Deliveries {
  const sent = new Map<string, { what: string; ts: number; missing: Set<string> }>()
  /** Ways by which events came that nobody waits for; the sender of some hears of the id later than others do. */
  const seen = new Map<string, Set<string>>()
  let arrived = 0

  function settle(eventId: string): void {
    if (sent.get(eventId)?.missing.size !== 0) return
    sent.delete(eventId)
    arrived++
  }

  return {
    expect(eventId, what, ways) {
      const missing = new Set(ways.filter((way) => !seen.get(eventId)?.has(way)))
      sent.set(eventId, { what, ts: Date.now(), missing })
      settle(eventId)
    },
    see(way, eventId) {
      sent.get(eventId)?.missing.delete(way)
      settle(eventId)
      seen.set(eventId, (seen.get(eventId) ?? new Set()).add(way))
      if (seen.size > REMEMBERED) seen.delete(seen.keys().next().value!)
    },
    check() {
      for (const [eventId, { what, ts, missing }] of sent) {
        if (Date.now() - ts < DELIVERY_MS) continue
        sent.delete(eventId)
        findings.add({ kind: `${what} does not arrive by ${[...missing].join(' and ')}`, detail: eventId })
      }
    },
    arrived: () => arrived,
    pending: () => sent.size,
  }
}
