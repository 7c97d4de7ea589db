import type { RoomAlias, RoomId } from '../../../core/ids.ts'

/** A room in the directory: https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3publicrooms */
export type PublishedRoom = {
  room_id: RoomId
  num_joined_members: number
  world_readable: boolean
  guest_can_join: boolean
  name?: string
  topic?: string
  canonical_alias?: RoomAlias
  avatar_url?: string
  join_rule?: string
  room_type?: string
}

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1room_summaryroomidoralias */
export type RoomSummary = PublishedRoom & { room_version: string; encryption?: string; allowed_room_ids?: RoomId[] }
