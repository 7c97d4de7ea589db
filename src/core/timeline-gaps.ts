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
