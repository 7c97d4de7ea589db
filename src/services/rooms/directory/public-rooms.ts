import type { App } from '../../../app.ts'
import { isContentUri } from '../../../core/content-uri.ts'
import { InvalidParamError } from '../../../core/errors.ts'
import { isRoomAlias, isRoomId } from '../../../core/ids.ts'
import type { Network } from '../../../storage/appservices/appservice-directory.ts'
import { countPublicRooms, type DirectoryPlace, loadPublicRooms } from '../../../storage/rooms/public-rooms.ts'
import type { RoomRow } from '../../../storage/schema/rooms.ts'
import { parseNetworkInstance } from './network-directory.ts'
import type { PublishedRoom } from './published-room.ts'

export type PublicRoomsQuery = {
  limit?: number | undefined
  /** `next_batch` or `prev_batch` of a previous response. */
  since?: string | undefined
  searchTerm?: string | undefined
  roomTypes?: readonly (string | null)[] | undefined
  /** A third-party network of an application service: lists only its rooms. */
  thirdPartyInstance?: string | undefined
  /** Also lists the rooms of third-party networks. */
  allNetworks?: boolean | undefined
}

export type PublicRooms = {
  chunk: PublishedRoom[]
  next_batch?: string
  prev_batch?: string
  total_room_count_estimate: number
}

const MAX_LIMIT = 500

/** Returns a page of this server's directory, largest rooms first. Throws M_INVALID_PARAM for a malformed token. */
export async function listPublicRooms(app: Pick<App, 'database'>, query: PublicRoomsQuery): Promise<PublicRooms> {
  const network = networkOf(query)
  if (network === 'unknown') return { chunk: [], total_room_count_estimate: 0 }
  const total = await countPublicRooms(app.database, network)
  const since = query.since === undefined ? undefined : parseToken(query.since)
  const limit = Math.min(query.limit || MAX_LIMIT, MAX_LIMIT)
  const direction = since?.direction ?? 'forwards'
  // One more row than requested shows whether there is another page.
  const found = await loadPublicRooms(app.database, {
    ...query,
    network,
    from: since?.place,
    direction,
    limit: limit + 1,
  })
  const hasMore = found.length > limit
  const rooms = direction === 'forwards' ? found.slice(0, limit) : found.slice(-limit)
  const [first, last] = [rooms[0], rooms.at(-1)]
  const hasNext = direction === 'forwards' ? hasMore : true
  const hasPrevious = direction === 'backwards' ? hasMore : since !== undefined
  return {
    chunk: rooms.map(publishedRoom),
    ...(last && hasNext && { next_batch: formatToken('n', last) }),
    ...(first && hasPrevious && { prev_batch: formatToken('p', first) }),
    total_room_count_estimate: total,
  }
}

function networkOf({ thirdPartyInstance, allNetworks }: PublicRoomsQuery): Network | 'all' | 'unknown' | undefined {
  if (thirdPartyInstance === undefined) return allNetworks ? 'all' : undefined
  return parseNetworkInstance(thirdPartyInstance) ?? 'unknown'
}

/** Returns the public information about a published room. */
export function publishedRoom(room: RoomRow): PublishedRoom {
  return {
    room_id: room.room_id,
    num_joined_members: room.joined_members,
    world_readable: room.history_visibility === 'world_readable',
    guest_can_join: room.guest_access === 'can_join',
    ...(room.name !== null && { name: room.name }),
    ...(room.topic !== null && { topic: room.topic }),
    ...(room.canonical_alias !== null &&
      isRoomAlias(room.canonical_alias) && { canonical_alias: room.canonical_alias }),
    ...(isContentUri(room.avatar_url) && { avatar_url: room.avatar_url }),
    ...(room.join_rule !== null && { join_rule: room.join_rule }),
    ...(room.room_type !== null && { room_type: room.room_type }),
  }
}

/**
 * Formats a token: a direction and the room from which the page starts: `n5_!room:server`, where 5 is its number of
 * members.
 */
function formatToken(kind: 'n' | 'p', { joined_members, room_id }: RoomRow): string {
  return `${kind}${joined_members}_${room_id}`
}

function parseToken(token: string): { direction: 'forwards' | 'backwards'; place: DirectoryPlace } {
  const [, kind, members, roomId = ''] = /^([np])(\d{1,9})_(.*)$/s.exec(token) ?? []
  if (!isRoomId(roomId)) throw new InvalidParamError('since: is not a token of this list')
  return { direction: kind === 'n' ? 'forwards' : 'backwards', place: { joinedMembers: Number(members), roomId } }
}
