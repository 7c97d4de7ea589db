import { z } from 'zod'
import { type DeviceId, isRoomId, isUserId, type RoomId, type UserId } from '../../core/ids.ts'

/** Schemas of what EDUs consist of. https://spec.matrix.org/v1.19/server-server-api/#edus */
export const userId = z.custom<UserId>((value) => typeof value === 'string' && isUserId(value))
export const roomId = z.custom<RoomId>((value) => typeof value === 'string' && isRoomId(value))
/** Text that the database can hold. */
export const text = z
  .string()
  .max(512)
  .regex(/^[^\0]*$/)
export const deviceId = text.min(1).transform((value) => value as DeviceId)
