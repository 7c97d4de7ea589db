/**
 * If events before one are missing because other servers did not return them, its `order` is a multiple of this. So
 * there is room for them before it, and the order alone shows the gap. A room without gaps reaches such an order only
 * after a million events, which is harmless.
 */
const STRIDE = 2 ** 20

/** Returns the order of an event after a gap; without the gap it would be `next`. */
export function orderAfterGap(next: number): number {
  return Math.ceil((next + 1) / STRIDE) * STRIDE
}

/** Whether there is, or was, a gap before the event at this order. */
export function followsGap(order: number | null): boolean {
  return order !== null && order > 0 && order % STRIDE === 0
}

/** Whether an event may have been fetched to fill a gap: these count down from the order after the gap. */
export function mayFillGap(order: number): boolean {
  return order % STRIDE > STRIDE / 2
}

/**
 * Returns the orders strictly between two others that an event after a gap can have; the last ones if there are too
 * many.
 */
export function gapPlaces(after: number, before: number): number[] {
  const last = Math.floor((before - 1) / STRIDE)
  const first = Math.max(1, Math.floor(after / STRIDE) + 1, last - MOST_PLACES + 1)
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, step) => (first + step) * STRIDE)
}

const MOST_PLACES = 1000
