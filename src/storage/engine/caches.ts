import { LRUCache } from 'lru-cache'
import type { RoomId, ServerName, UserId } from '../../core/ids.ts'
import type { RoomVersion } from '../../core/room-versions.ts'
import type { TrieNode } from '../../core/rooms/state-trie.ts'
import type { StoredEvent } from '../schema/stored-event.ts'

/**
 * Immutable data by id, bounded by memory. The exception is the redaction of an event: `forgetEvent` removes it from
 * `events`.
 */
export type Caches = {
  /** By nid. */
  readonly events: LRUCache<number, StoredEvent>
  /** Event id to nid, of events in `events`. */
  readonly eventNids: LRUCache<string, number>
  /** State trie nodes by address. */
  readonly stateNodes: LRUCache<number, TrieNode>
  /** The state group that some states resolve to, by their roots in ascending order. */
  readonly resolutions: LRUCache<string, number>
  readonly roomVersions: LRUCache<RoomId, RoomVersion>
  /** All erased users, kept current by the stream. */
  readonly erasedUsers: Set<UserId>
  /** How often the states of a room's events were recomputed; absent: never. Cached values depend on it. */
  readonly recomputations: LRUCache<RoomId, number>
  /** How often an event was evicted: a read that began before an eviction may be outdated. */
  readonly forgotten: { times: number }
  /** Bytes of EDUs that this process has enqueued for a server since it last measured that server's outbox. */
  readonly unmeasuredEdus: LRUCache<ServerName, number>
  readonly counts: Record<'events' | 'state_nodes', { hits: number; misses: number }>
}

/** `bytes`: the approximate memory of all caches. */
export function createCaches(bytes: number): Caches {
  return {
    events: new LRUCache({ maxSize: Math.ceil(bytes * 0.75), sizeCalculation: (event) => 600 + event.size * 3 }),
    eventNids: new LRUCache({ max: Math.max(1000, Math.ceil(bytes / 3000)) }),
    stateNodes: new LRUCache({
      maxSize: Math.ceil(bytes * 0.2),
      sizeCalculation: (node) => 100 + (node.kind === 'leaf' ? node.entries.size * 70 : node.children.length * 8),
    }),
    resolutions: new LRUCache({ max: 10_000 }),
    roomVersions: new LRUCache({ max: 10_000 }),
    erasedUsers: new Set(),
    recomputations: new LRUCache({ max: 10_000 }),
    forgotten: { times: 0 },
    unmeasuredEdus: new LRUCache({ max: 10_000 }),
    counts: { events: { hits: 0, misses: 0 }, state_nodes: { hits: 0, misses: 0 } },
  }
}
