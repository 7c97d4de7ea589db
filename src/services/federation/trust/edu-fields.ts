import { z } from 'zod'
import {
  type DeviceId,
  type EventId,
  isEventId,
  isRoomId,
  isStorableName,
  isUserId,
  type RoomId,
  type UserId,
} from '../../../core/ids.ts'

/** The maximum length of device IDs, too. */
const MAX_NAME_BYTES = 512

/** Schemas of EDU fields. https://spec.matrix.org/v1.19/server-server-api/#edus */
export const eduUserId = z.custom<UserId>((value) => typeof value === 'string' && isUserId(value))
export const eduRoomId = z.custom<RoomId>((value) => typeof value === 'string' && isRoomId(value))
export const eduEventId = z.custom<EventId>((value) => typeof value === 'string' && isEventId(value))
/** Text that the database can store and index. */
export const eduText = z.string().refine((value) => isStorableName(value, MAX_NAME_BYTES))
export const eduDeviceId = eduText.min(1).transform((value) => value as DeviceId)
