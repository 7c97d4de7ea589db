import type { Findings } from './findings.ts'

/** Messages that must arrive, and the ways by which each has arrived. */
export type Deliveries = {
  /** `ways`: all ways by which it must arrive. */
  expect(eventId: string, what: string, ways: readonly string[]): void
  see(way: string, eventId: string): void
  /** Records that a way has delivered something completely: a sync has ended, a transaction has arrived. */
  complete(way: string): void
  /** Reports late messages; to be called regularly. */
  check(): void
  arrived(): number
  pending(): number
}

/**
 * A message is late after this time if a way that lacks it has delivered something this often since: on a busy machine,
 * everything is slow.
 */
const DELIVERY_MS = 60_000
const ROUNDS = 5
/** Late in any case, before the test in CI has to end. */
const LONGEST_MS = 2 * 60_000
const REMEMBERED = 5_000

/** `missing`: the ways by which it has not arrived, and how often each has delivered something since. */
type Message = { what: string; ts: number; missing: Map<string, number> }

export function createDeliveries(findings: Findings): Deliveries {
  const sent = new Map<string, Message>()
  /** Arrivals of events that are not expected yet: the sender may learn the ID after others got the event. */
  const seen = new Map<string, Set<string>>()
  let arrived = 0

  function settle(eventId: string): void {
    if (sent.get(eventId)?.missing.size !== 0) return
    sent.delete(eventId)
    arrived++
  }

  return {
    expect(eventId, what, ways) {
      const missing = ways.filter((way) => !seen.get(eventId)?.has(way)).map((way) => [way, 0] as const)
      sent.set(eventId, { what, ts: Date.now(), missing: new Map(missing) })
      settle(eventId)
    },
    see(way, eventId) {
      sent.get(eventId)?.missing.delete(way)
      settle(eventId)
      seen.set(eventId, (seen.get(eventId) ?? new Set()).add(way))
      if (seen.size > REMEMBERED) seen.delete(seen.keys().next().value!)
    },
    complete(way) {
      for (const { missing } of sent.values()) if (missing.has(way)) missing.set(way, missing.get(way)! + 1)
    },
    check() {
      for (const [eventId, message] of sent) {
        if (!isLate(message)) continue
        sent.delete(eventId)
        const ways = [...message.missing.keys()].join(' and ')
        const after = `after ${Math.round((Date.now() - message.ts) / 1000)} s`
        findings.add({ kind: `${message.what} does not arrive by ${ways}`, detail: `${eventId}, ${after}` })
      }
    },
    arrived: () => arrived,
    pending: () => sent.size,
  }
}

function isLate({ ts, missing }: Message): boolean {
  const age = Date.now() - ts
  return age > LONGEST_MS || (age > DELIVERY_MS && Math.max(...missing.values()) >= ROUNDS)
}
