import { hash } from 'node:crypto'
import type { DeviceId, RoomId, UserId } from '../../../core/ids.ts'
import type { RoomConfig } from '../../../core/rooms/room-config.ts'
import type { Window } from '../../../storage/rooms/room-lists.ts'
import type { PresenceState } from '../../../storage/schema/presence.ts'
import type { ConnectionState } from '../../../storage/sync/sliding-connections.ts'

/** Which rooms a list of sliding sync takes; what is undefined takes all. */
export type SlidingFilter = {
  isDm?: boolean | undefined
  /** Rooms that one of these spaces, which the user has joined, names as its child. */
  spaces?: readonly string[] | undefined
  isEncrypted?: boolean | undefined
  isInvite?: boolean | undefined
  roomTypes?: readonly (string | null)[] | undefined
  notRoomTypes?: readonly (string | null)[] | undefined
  tags?: readonly string[] | undefined
  notTags?: readonly string[] | undefined
  name?: string | undefined
}

export type SlidingList = { windows: readonly Window[]; filter: SlidingFilter; config: RoomConfig }

/** For which rooms an extension is wanted: those of some lists, and some of the subscribed rooms; '*': all of them. */
export type ExtensionScope = { lists: readonly string[]; rooms: readonly string[] }

/** Extensions that are not wanted are undefined. */
export type SlidingExtensions = {
  toDevice?: { since: string | undefined; limit: number } | undefined
  e2ee?: boolean | undefined
  accountData?: ExtensionScope | undefined
  receipts?: ExtensionScope | undefined
  typing?: ExtensionScope | undefined
  threadSubscriptions?: { limit: number } | undefined
}

/** A request of sliding sync, whichever of its two forms the client speaks. */
export type SlidingRequest = {
  userId: UserId
  deviceId: DeviceId | null
  connId: string
  /** The `pos` of the last answer; undefined: a new connection. */
  pos: string | undefined
  /** What the caller knows of the connection as of `pos`, from the last reply; it is looked up otherwise. */
  connection?: ConnectionState | undefined
  /** How long to wait for something to tell, in milliseconds. */
  timeout: number
  lists: ReadonlyMap<string, SlidingList>
  subscriptions: ReadonlyMap<RoomId, RoomConfig>
  extensions: SlidingExtensions
  /** A hash of all that is asked for, but for from where on: when that changes, it is answered at once. */
  shape: string
  /** What the device says of its user meanwhile; undefined: nothing. */
  presence?: PresenceState | undefined
  /** Ends the waiting. */
  signal: AbortSignal
}

/** A request, with its shape. */
export function slidingRequest(asked: Omit<SlidingRequest, 'shape'>): SlidingRequest {
  return { ...asked, shape: shapeOf(asked) }
}

function shapeOf({ lists, subscriptions, extensions }: Omit<SlidingRequest, 'shape'>): string {
  const { accountData, receipts, typing } = extensions
  const asked = [[...lists], [...subscriptions].sort(([a], [b]) => (a < b ? -1 : 1)), accountData, receipts, typing]
  return hash('sha256', JSON.stringify(asked), 'base64url').slice(0, 22)
}
