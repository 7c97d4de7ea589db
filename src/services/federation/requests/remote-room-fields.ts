import { z } from 'zod'
import { isContentUri } from '../../../core/content-uri.ts'
import { isRoomAlias, isRoomId, type RoomId } from '../../../core/ids.ts'

const optionalText = z.string().optional().catch(undefined)
const flag = z.boolean().catch(false)

/**
 * A published room in another server's response; malformed fields are dropped.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3publicrooms
 */
export const remotePublishedRoom = z.looseObject({
  room_id: z.string().refine(isRoomId),
  num_joined_members: z.int().catch(0),
  world_readable: flag,
  guest_can_join: flag,
  name: optionalText,
  topic: optionalText,
  canonical_alias: z.string().refine(isRoomAlias).optional().catch(undefined),
  avatar_url: z.string().refine(isContentUri).optional().catch(undefined),
  join_rule: optionalText,
  room_type: optionalText,
})

/**
 * As `remotePublishedRoom`, for a room in a space.
 * https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1hierarchyroomid
 */
export const remoteRoomSummary = remotePublishedRoom.extend({
  room_version: optionalText,
  encryption: optionalText,
  allowed_room_ids: z
    .array(z.unknown())
    .transform((ids) => ids.filter((id): id is RoomId => typeof id === 'string' && isRoomId(id)))
    .optional()
    .catch(undefined),
})
