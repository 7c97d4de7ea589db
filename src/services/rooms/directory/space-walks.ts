import { LRUCache } from 'lru-cache'
import type { RoomId, ServerName } from '../../../core/ids.ts'
import type { RoomSummary } from './published-room.ts'

/** A room that the walk has not reached yet. */
export type PendingRoom = {
  depth: number
  roomId: RoomId
  /** Servers that may be in it. */
  via: readonly ServerName[]
  /** Its summary in another server's response about its space; null: inaccessible to everyone. */
  summary: RoomSummary | null | undefined
}

/**
 * The progress of a walk through a space. `stack`: the next room is the last one. `spaces`: the number of rooms with
 * children so far.
 */
export type SpaceWalk = { seen: Set<RoomId>; stack: PendingRoom[]; spaces: number }

const KEPT_MS = 5 * 60_000
const MAX_KEPT_BYTES = 32 * 1024 * 1024
/** Estimated size of a room with its servers. */
const ROOM_BYTES = 200

/**
 * Returns the kept walks, by the next page's token and its user. A process that does not have a walk repeats it from
 * the start.
 */
export type SpaceWalks = LRUCache<string, SpaceWalk>

export function createSpaceWalks(): SpaceWalks {
  return new LRUCache({ ttl: KEPT_MS, maxSize: MAX_KEPT_BYTES, sizeCalculation: bytesOf })
}

function bytesOf({ seen, stack }: SpaceWalk): number {
  const summaries = stack.reduce((sum, { summary }) => sum + (summary ? JSON.stringify(summary).length : 0), 0)
  return summaries + (seen.size + stack.length) * ROOM_BYTES + 1
}
