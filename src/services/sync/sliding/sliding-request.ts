import { hash } from 'node:crypto'
import type { DeviceId, RoomId, UserId } from '../../../core/ids.ts'
import type { RoomConfig } from '../../../core/rooms/room-config.ts'
import type { Window } from '../../../storage/rooms/room-lists.ts'
import type { PresenceState } from '../../../storage/schema/presence.ts'
import type { ConnectionState } from '../../../storage/sync/sliding-connections.ts'

/** The room filter of a sliding sync list; undefined keys match everything. */
export type SlidingFilter = {
  isDm?: boolean | undefined
  /** Children of these spaces, which the user has joined. */
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

/** The rooms of an extension: those of some lists, and some subscribed rooms; '*': all of them. */
export type ExtensionScope = { lists: readonly string[]; rooms: readonly string[] }

/** Disabled extensions are undefined. */
export type SlidingExtensions = {
  toDevice?: { since: string | undefined; limit: number } | undefined
  e2ee?: boolean | undefined
  accountData?: ExtensionScope | undefined
  receipts?: ExtensionScope | undefined
  typing?: ExtensionScope | undefined
  threadSubscriptions?: { limit: number } | undefined
  sticky?: { since: string | undefined; limit: number } | undefined
  /** `fields`: the names of the fields that the client follows, sorted; undefined: all. */
  profiles?: (ExtensionScope & { fields: readonly string[] | undefined }) | undefined
}

/** A request of sliding sync, in either of its two forms. */
export type SlidingRequest = {
  userId: UserId
  deviceId: DeviceId | null
  connId: string
  /** The `pos` of the last response; undefined: a new connection. */
  pos: string | undefined
  /** The connection as of `pos`, if the caller has it from the last reply; otherwise it is loaded. */
  connection?: ConnectionState | undefined
  /** How long to wait for changes, in milliseconds. */
  timeout: number
  lists: ReadonlyMap<string, SlidingList>
  subscriptions: ReadonlyMap<RoomId, RoomConfig>
  extensions: SlidingExtensions
  /**
   * A hash of the request without its position: when it changes, the response is immediate. After a dot, a hash of the
   * profile fields.
   */
  shape: string
  /** The user's presence as set by the device; undefined: unchanged. */
  presence?: PresenceState | undefined
  /** Aborts the wait. */
  signal: AbortSignal
  /** The stream position after which the request arrived, if known. */
  streamPosition?: number | undefined
}

/** Returns a request with its shape. */
export function slidingRequest(asked: Omit<SlidingRequest, 'shape'>): SlidingRequest {
  return { ...asked, shape: shapeOf(asked) }
}

function shapeOf({ lists, subscriptions, extensions }: Omit<SlidingRequest, 'shape'>): string {
  const { accountData, receipts, typing, sticky, profiles } = extensions
  const rooms = [[...lists], [...subscriptions].sort(([a], [b]) => (a < b ? -1 : 1))]
  const asked = [...rooms, accountData, receipts, typing, sticky !== undefined, profiles]
  return profiles ? `${shortHash(asked)}.${shortHash(profiles.fields ?? '*')}` : shortHash(asked)
}

function shortHash(value: unknown): string {
  return hash('sha256', JSON.stringify(value), 'base64url').slice(0, 22)
}

/** Returns the part of a shape that stands for the profile fields; undefined: none are followed. */
export function profilesInShape(shape: string): string | undefined {
  return shape.split('.')[1]
}

/** Returns the shape to store for an incomplete response: the next one is immediate, as if the request had changed. */
export function incompleteShape(shape: string): string {
  const profiles = profilesInShape(shape)
  return profiles === undefined ? '' : `.${profiles}`
}
