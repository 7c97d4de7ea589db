type Sized = { readonly size: number }

/** The bytes of some events. */
export function bytesOf(events: readonly Sized[]): number {
  return events.reduce((sum, { size }) => sum + size, 0)
}

/** The first of some events for which there is room; at least one. */
export function firstWithin<Event extends Sized>(events: readonly Event[], bytes: number): Event[] {
  let end = 0
  let left = bytes
  while (end < events.length && (end === 0 || events[end]!.size <= left)) left -= events[end++]!.size
  return events.slice(0, end)
}

/** The last of some events for which there is room; at least one. */
export function lastWithin<Event extends Sized>(events: readonly Event[], bytes: number): Event[] {
  return firstWithin(events.toReversed(), bytes).reverse()
}
