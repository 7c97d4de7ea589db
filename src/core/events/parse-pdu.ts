import { z } from 'zod'
import { BadJsonError } from '../errors.ts'
import { domainOf, isEventId, isRoomId, isUserId } from '../ids.ts'
import { assertCanonical } from '../json/canonical-json.ts'
import type { JsonObject, Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import { namesItsRoom } from './to-event.ts'

/**
 * Checks that parsed JSON has the room version's event format. Returns the same value, unknown keys included. Does not
 * check hashes, signatures and sizes. Throws BadJsonError. https://spec.matrix.org/v1.19/rooms/v12/#event-format and
 * the same section of other versions
 */
export function parsePdu(version: RoomVersion, json: unknown): Pdu {
  assertCanonical(json, { strict: version.strictCanonicalJson })
  const result = schemaOf(version).safeParse(json)
  if (!result.success) throw new BadJsonError(describe(result.error.issues[0]))
  const pdu = json as Pdu
  checkRoomId(version, pdu)
  return pdu
}

const isPlainObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)
const plainObject = z.custom<JsonObject>(isPlainObject, 'not an object')
const eventId = z.string().refine(isEventId, 'not an event id')
const eventIdWithDomain = eventId.refine((id) => domainOf(id) !== undefined, 'not an event id with a server name')

/** The fields of all room versions: https://spec.matrix.org/v1.19/rooms/v4/#event-format */
const commonFields = {
  type: z.string(),
  room_id: z.string().refine(isRoomId, 'not a room id').optional(),
  sender: z.string().refine(isUserId, 'not a user id'),
  state_key: z.string().optional(),
  content: plainObject,
  origin_server_ts: z.int(),
  // Room versions before 6 allow up to 2^63 − 1. JavaScript would lose digits, and no signature would verify.
  depth: z.int().min(0),
  hashes: z.object({ sha256: z.string() }),
  signatures: z.record(z.string(), z.record(z.string(), z.string())),
  unsigned: plainObject.optional(),
}

const formatV1 = eventFormat(z.tuple([eventId, plainObject]), {
  event_id: eventIdWithDomain,
  redacts: z.string().optional(),
})
const formatV3 = eventFormat(eventId, { redacts: z.string().optional() })
const formatV11 = eventFormat(eventId, {})

function eventFormat(reference: z.ZodType, fields: z.ZodRawShape): z.ZodType {
  return z.object({
    ...commonFields,
    ...fields,
    auth_events: z.array(reference).max(10),
    prev_events: z.array(reference).max(20),
  })
}

function schemaOf(version: RoomVersion): z.ZodType {
  if (version.eventIdFormat === 'server-chosen') return formatV1
  return version.redactsInContent ? formatV11 : formatV3
}

/** Throws BadJsonError unless the room id has the form of the room version. */
function checkRoomId(version: RoomVersion, pdu: Pdu): void {
  if (namesItsRoom(version, pdu)) {
    if (pdu.room_id !== undefined) throw new BadJsonError('room_id: must be absent from m.room.create')
  } else if (pdu.room_id === undefined) {
    throw new BadJsonError('room_id: missing')
  } else if (pdu.room_id.includes(':') === version.roomIdIsCreateHash) {
    throw new BadJsonError('room_id: not of this room version')
  }
}

function describe(issue: z.core.$ZodIssue | undefined): string {
  return `${issue?.path.map(String).join('.')}: ${issue?.message}`
}
