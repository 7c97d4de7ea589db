import { z } from 'zod'
import type { DeviceId, EventId, RoomAlias, RoomId, ServerName, UserId } from '../../core/ids.ts'
import { isEventId, isRoomAlias, isRoomId, isServerName, isStorableName, isUserId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { parseEmailAddress } from '../../core/text/email-address.ts'

/**
 * Schemas of the specification's identifiers for paths, queries and bodies:
 * https://spec.matrix.org/v1.19/appendices/#identifier-grammar
 */
export const userId = z.custom<UserId>(
  (value) => typeof value === 'string' && isUserId(value),
  'is not a user id (@name:server)',
)
export const roomId = z.custom<RoomId>(
  (value) => typeof value === 'string' && isRoomId(value),
  'is not a room id (!id:server)',
)
export const roomAlias = z.custom<RoomAlias>(
  (value) => typeof value === 'string' && isRoomAlias(value),
  'is not a room alias (#name:server)',
)
export const eventId = z.custom<EventId>(
  (value) => typeof value === 'string' && isEventId(value),
  'is not an event id ($id)',
)
export const serverName = z.custom<ServerName>(
  (value) => typeof value === 'string' && isServerName(value),
  'is not a server name',
)
const MAX_DEVICE_ID_BYTES = 512
export const deviceId = z
  .string()
  .min(1)
  .refine(
    (value) => isStorableName(value, MAX_DEVICE_ID_BYTES),
    `must have at most ${MAX_DEVICE_ID_BYTES} bytes, without NUL`,
  )
  .transform((value) => value as DeviceId)

/** An e-mail address, converted to its canonical form. */
export const emailAddress = z
  .string()
  .max(255)
  .transform((text, context) => {
    const address = parseEmailAddress(text)
    if (address !== undefined) return address
    context.addIssue({ code: 'custom', message: 'is not an e-mail address', params: { errcode: 'M_INVALID_PARAM' } })
    return z.NEVER
  })

/** A name chosen by clients, such as a session, an algorithm or a transaction ID. */
export const opaqueName = z.string().min(1).refine(isStorable, 'must have at most 255 bytes, without NUL')
/** As `opaqueName`, but may be empty. */
export const opaqueText = z.string().refine(isStorable, 'must have at most 255 bytes, without NUL')

function isStorable(value: string): boolean {
  return isStorableName(value)
}

/** A JSON object of any content, such as an event's. It is passed on as parsed, with unknown keys. */
export const jsonObject = z.custom<JsonObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'is not a JSON object',
)

/** A query parameter: an integer from 0. */
export const queryInteger = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER)
/** A query parameter: `true` or `false`. */
export const queryBoolean = z.enum(['true', 'false']).transform((value) => value === 'true')
