import { z } from 'zod'
import { MissingParamError } from '../../../core/errors.ts'
import type { DeviceId, UserId } from '../../../core/ids.ts'
import { assertCanonical } from '../../../core/json/canonical-json.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { jsonObject, userId } from '../../http/fields.ts'
import type { Session } from '../../http/route.ts'

/** A JSON object that can be stored: limited nesting, well-formed text. */
export const storableObject = jsonObject.refine(isStorable, 'is nested too deeply, or holds malformed text')

/** Returns the schema of an object keyed by user ID. */
export function byUser<Schema extends z.ZodType>(schema: Schema) {
  return z.record(userId, schema).transform((object) => new Map(Object.entries(object) as [UserId, z.output<Schema>][]))
}

/** A request counts one more per this many users and devices whose keys it names: each needs a database look-up. */
const KEYS_OF_REQUEST = 250

/** Returns the number of users and devices that a request names. `of` counts the devices named for one user. */
export function countKeys<Devices>(wanted: ReadonlyMap<UserId, Devices>, of: (devices: Devices) => number): number {
  return [...wanted.values()].reduce((sum, devices) => sum + 1 + of(devices), 0)
}

/** Converts a number of keys into requests for the rate limit. */
export function keyRequests(count: number): { default: number } {
  return { default: Math.floor(count / KEYS_OF_REQUEST) }
}

/** Returns the device of a session. Throws M_MISSING_PARAM for application services that act without a device. */
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
