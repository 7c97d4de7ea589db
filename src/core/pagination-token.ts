/** A point in a room's timeline as clients name it, or the whole server's stream position that a sync token names. */
export type RoomPoint = { kind: 'order'; order: number } | { kind: 'position'; position: number }

/** The token for the point between the events at `order` and `order + 1` of a room; for `from`, `to`, `prev_batch`, `start` and `end`. */
export function paginationToken(order: number): string {
  return `t1_${order}`
}

/** What a client gave as a token: one of ours for a room, or one of either /sync, which all endpoints of a room take as well. Undefined: none of them. */
export function parseRoomPoint(token: string): RoomPoint | undefined {
  const order = /^t1_(-?\d{1,15})$/.exec(token)?.[1]
  if (order !== undefined) return { kind: 'order', order: Number(order) }
  const position = /^s1_(\d{1,15})(?:_|$)/.exec(token)?.[1] ?? /^l1_\d{1,15}_\d{1,15}_(\d{1,15})$/.exec(token)?.[1]
  return position === undefined ? undefined : { kind: 'position', position: Number(position) }
}
