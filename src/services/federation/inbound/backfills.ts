import type { EventId } from '../../../core/ids.ts'
import type { Clock } from '../../../infra/clock.ts'
import { createSingleFlight, type SingleFlight } from '../../../infra/concurrency/single-flight.ts'

/** The backfills of a process. */
export type Backfills = {
  /** Backfills a room, by its id; concurrent callers share the result. */
  once: SingleFlight<boolean>
  /** Returns whether the gap before an event is in its back-off. */
  isResting(eventId: EventId): boolean
  /** Backs off from the gap before an event. */
  rest(eventId: EventId, ms: number): void
}

const MAX_RESTING = 10_000

export function createBackfills(clock: Clock): Backfills {
  const resting = new Map<EventId, number>()
  return {
    once: createSingleFlight(),
    isResting: (eventId) => (resting.get(eventId) ?? 0) > clock.now(),
    rest(eventId, ms) {
      if (resting.size > MAX_RESTING) resting.clear()
      resting.set(eventId, clock.now() + ms)
    },
  }
}
