import { positionOfSynapse } from './sync-token.ts'

/** A point in a room's timeline, or the server's stream position of a sync token. */
export type RoomPoint = { kind: 'order'; order: number } | { kind: 'position'; position: number }

/**
 * The token for the point between the events at `order` and `order + 1` of a room; for `from`, `to`, `prev_batch`,
 * `start` and `end`.
 */
export function paginationToken(order: number): string {
  return `t1_${order}`
}

/**
 * Parses a token of a client: a token of a room, or of either /sync, which all endpoints of a room accept. Returns
 * undefined for any other text.
 */
export function parseRoomPoint(token: string): RoomPoint | undefined {
  const imported = positionOfSynapse(token) ?? positionInRoom(token)
  if (imported !== undefined) return { kind: 'position', position: imported }
  const order = /^t1_(-?\d{1,15})$/.exec(token)?.[1]
  if (order !== undefined) return { kind: 'order', order: Number(order) }
  const position = /^s1_(\d{1,15})(?:_|$)/.exec(token)?.[1] ?? /^l1_\d{1,15}_\d{1,15}_(\d{1,15})$/.exec(token)?.[1]
  return position === undefined ? undefined : { kind: 'position', position: Number(position) }
}

/**
 * Returns the position in a room token of Synapse, which has the depth in front of it. Fetched history has none that is
 * known here, and begins at the first event that is not history.
 */
function positionInRoom(token: string): number | undefined {
  const position = /^t\d{1,15}-(-?\d{1,15})(?:~[\d.~]+)?(?:_[\d~.]+)*$/.exec(token)?.[1]
  return position === undefined ? undefined : Math.max(0, Number(position))
}
