import type { Event } from '../pdu.ts'

/** Orders events by what all orderings of state resolution fall back to: `origin_server_ts`, then `event_id` by code points. */
export function compareByTime(a: Event, b: Event): number {
  return a.pdu.origin_server_ts - b.pdu.origin_server_ts || compareCodePoints(a.event_id, b.event_id)
}

/** Ids of room versions 1 and 2 may hold anything, and other servers compare them by code points, not by UTF-16. */
function compareCodePoints(a: string, b: string): number {
  if (a === b) return 0
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
