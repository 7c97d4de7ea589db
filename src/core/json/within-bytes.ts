type Sized = { readonly size: number }

/** Returns the total bytes of events. */
export function bytesOf(events: readonly Sized[]): number {
  return events.reduce((sum, { size }) => sum + size, 0)
}

/** Returns the first events that fit; at least one. */
export function firstWithin<Event extends Sized>(events: readonly Event[], bytes: number): Event[] {
  let end = 0
  let left = bytes
  while (end < events.length && (end === 0 || events[end]!.size <= left)) left -= events[end++]!.size
  return events.slice(0, end)
}

/** Returns the last events that fit; at least one. */
export function lastWithin<Event extends Sized>(events: readonly Event[], bytes: number): Event[] {
  return firstWithin(events.toReversed(), bytes).reverse()
}
