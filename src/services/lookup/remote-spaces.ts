import { LRUCache } from 'lru-cache'
import type { RoomId } from '../../core/ids.ts'
import type { DescribedRoom } from '../rooms/directory/described-room.ts'

/** Spaces and rooms as remote servers described them lately. */
export type RemoteSpaces = LRUCache<RoomId, DescribedRoom>

const KEPT_MS = 5 * 60_000
const MAX_KEPT = 500
const MAX_KEPT_BYTES = 32 * 1024 * 1024

export function createRemoteSpaces(): RemoteSpaces {
  return new LRUCache({
    max: MAX_KEPT,
    ttl: KEPT_MS,
    maxSize: MAX_KEPT_BYTES,
    sizeCalculation: ({ bytes }) => bytes,
  })
}
