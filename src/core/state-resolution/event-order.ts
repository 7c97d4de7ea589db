import type { Event } from '../pdu.ts'

/** The tie-break of all orderings of state resolution: `origin_server_ts`, then `event_id` by code points. */
export function compareByTime(a: Event, b: Event): number {
  return a.pdu.origin_server_ts - b.pdu.origin_server_ts || compareCodePoints(a.event_id, b.event_id)
}

/**
 * Ids of room versions 1 and 2 may contain any characters. Other servers compare them by code points, not UTF-16 units.
 */
function compareCodePoints(a: string, b: string): number {
  if (a === b) return 0
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
