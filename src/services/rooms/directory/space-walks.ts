import { LRUCache } from 'lru-cache'
import type { RoomId, ServerName } from '../../../core/ids.ts'
import type { RoomSummary } from './published-room.ts'

/** A room of a space that the walk comes to later. */
export type PendingRoom = {
  depth: number
  roomId: RoomId
  /** Servers that may be in it. */
  via: readonly ServerName[]
  /** What another server said of it along with its space; null: that nobody may know about it. */
  told: RoomSummary | null | undefined
}

/**
 * How far a walk through a space has come. `stack`: the next room is the last one. `spaces`: how many rooms had
 * children.
 */
export type SpaceWalk = { seen: Set<RoomId>; stack: PendingRoom[]; spaces: number }

const KEPT_MS = 5 * 60_000
const MAX_KEPT_BYTES = 32 * 1024 * 1024
/** A guess: of a room, with its servers. */
const ROOM_BYTES = 200

/**
 * Walks that go on with the next page, by the page's token and its user. A process that has not kept a walk makes it
 * again from the start.
 */
export type SpaceWalks = LRUCache<string, SpaceWalk>

export function createSpaceWalks(): SpaceWalks {
  return new LRUCache({ ttl: KEPT_MS, maxSize: MAX_KEPT_BYTES, sizeCalculation: bytesOf })
}

function bytesOf({ seen, stack }: SpaceWalk): number {
  const told = stack.reduce((sum, pending) => sum + (pending.told ? JSON.stringify(pending.told).length : 0), 0)
  return told + (seen.size + stack.length) * ROOM_BYTES + 1
}
