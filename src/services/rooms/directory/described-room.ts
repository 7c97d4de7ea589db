import type { RoomId, ServerName } from '../../../core/ids.ts'
import type { ChildEvent } from '../../../core/rooms/space-children.ts'
import type { RoomSummary } from './published-room.ts'

/** A room that this server is not in, as described by a remote server. */
export type DescribedRoom = {
  summary: RoomSummary
  children: ChildEvent[]
  /** The server that described it. */
  server: ServerName
  /** The descriptions of its children in the same response; null: inaccessible to everyone. */
  childSummaries: ReadonlyMap<RoomId, RoomSummary | null>
  /** Approximate size in memory. */
  bytes: number
}
