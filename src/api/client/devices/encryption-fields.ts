import { z } from 'zod'
import { MissingParamError } from '../../../core/errors.ts'
import type { DeviceId, UserId } from '../../../core/ids.ts'
import { assertCanonical } from '../../../core/json/canonical-json.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { jsonObject, userId } from '../../http/fields.ts'
import type { Session } from '../../http/route.ts'

/** A JSON object to keep: not nested beyond reason. */
export const storableObject = jsonObject.refine(isStorable, 'is nested too deeply, or holds malformed text')

/** An object by user id. */
export function byUser<Schema extends z.ZodType>(schema: Schema) {
  return z.record(userId, schema).transform((object) => new Map(Object.entries(object) as [UserId, z.output<Schema>][]))
}

/** Of how many users and devices whose keys a request wants it counts for one more: each is looked for in the database. */
const KEYS_OF_REQUEST = 250

/** What a request counts for that wants keys by user; `of`: how many devices it names of one. */
export function countKeys<Devices>(wanted: ReadonlyMap<UserId, Devices>, of: (devices: Devices) => number): number {
  return [...wanted.values()].reduce((sum, devices) => sum + 1 + of(devices), 0)
}

/** The same as requests of the rate limit. */
export function keyRequests(count: number): { default: number } {
  return { default: Math.floor(count / KEYS_OF_REQUEST) }
}

/** The device that a session belongs to. Throws M_MISSING_PARAM for application services that act without one. */
export function requireDevice({ userId, deviceId }: Session): { userId: UserId; deviceId: DeviceId } {
  if (deviceId === null) throw new MissingParamError('device_id: is needed for a request about a device')
  return { userId, deviceId }
}

function isStorable(object: JsonObject): boolean {
  try {
    assertCanonical(object, { strict: false })
    return true
  } catch {
    return false
  }
}
