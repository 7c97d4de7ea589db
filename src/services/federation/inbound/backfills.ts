import type { EventId } from '../../../core/ids.ts'
import type { Clock } from '../../../infra/clock.ts'
import { createSingleFlight, type SingleFlight } from '../../../infra/concurrency/single-flight.ts'

/** The backfills of a process. */
export type Backfills = {
  /** Backfills a room, by its id; concurrent callers share the result. */
  once: SingleFlight<boolean>
  /** Returns whether the gap before an event is in its back-off. */
  isInBackOff(eventId: EventId): boolean
  /** Backs off from the gap before an event. */
  backOff(eventId: EventId, ms: number): void
}

const MAX_DELAYED = 10_000

export function createBackfills(clock: Clock): Backfills {
  const delayed = new Map<EventId, number>()
  return {
    once: createSingleFlight(),
    isInBackOff: (eventId) => (delayed.get(eventId) ?? 0) > clock.now(),
    backOff(eventId, ms) {
      if (delayed.size > MAX_DELAYED) delayed.clear()
      delayed.set(eventId, clock.now() + ms)
    },
  }
}
