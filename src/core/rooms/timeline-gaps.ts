/**
 * Where events are missing before one, as other servers did not tell them, its place in the timeline is a multiple of this: so there is room for
 * them before it, and the gap can be told from the place alone. A room needs a million events to come by such a place otherwise, which does no harm.
 */
const STRIDE = 2 ** 20

/** The place for an event that follows a gap, where the next one would be `next`. */
export function orderAfterGap(next: number): number {
  return Math.ceil((next + 1) / STRIDE) * STRIDE
}

/** Whether there is, or was, a gap before the event at this place of the timeline. */
export function followsGap(order: number | null): boolean {
  return order !== null && order > 0 && order % STRIDE === 0
}

/** The places between two others, which are not among them, that an event after a gap would have; of very many the last. */
export function gapPlaces(after: number, before: number): number[] {
  const last = Math.floor((before - 1) / STRIDE)
  const first = Math.max(1, Math.floor(after / STRIDE) + 1, last - MOST_PLACES + 1)
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, step) => (first + step) * STRIDE)
}

const MOST_PLACES = 1000
