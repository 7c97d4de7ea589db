import { z } from 'zod'
import { keyText, parseCrossSigningKey, parseDeviceKeys } from '../../../core/devices/key-objects.ts'
import { InvalidParamError, MatrixError, TooLargeError } from '../../../core/errors.ts'
import type { UserId } from '../../../core/ids.ts'
import { fits } from '../../../core/limits.ts'
import type { RemoteDevice } from '../../../storage/devices/remote-devices.ts'
import { storableText } from '../../../storage/engine/storable-text.ts'
import type { CrossSigningKeyRow } from '../../../storage/schema/devices.ts'
import { eduDeviceId } from '../trust/edu-fields.ts'

const MAX_NAME = 255

/** Returns the schema of a remote user's device with its keys, of at most `most` bytes. */
export function remoteDevice(userId: UserId, most: number) {
  return z
    .looseObject({ device_id: eduDeviceId, device_display_name: z.string().nullish(), keys: z.unknown() })
    .transform((given, context): RemoteDevice => {
      const { device_id, device_display_name: name, keys } = given
      try {
        const display_name = name ? storableText(name).slice(0, MAX_NAME) : null
        const key_json = deviceKeysText({ userId, device_id }, keys)
        if (!fits(key_json, most)) throw new TooLargeError('keys: are too large')
        return { device_id, key_json, display_name }
      } catch (error) {
        if (!(error instanceof MatrixError)) throw error
        context.addIssue(error.message)
        return z.NEVER
      }
    })
}

function deviceKeysText({ userId, device_id }: { userId: UserId; device_id: string }, object: unknown): string {
  const keys = parseDeviceKeys(object)
  if (keys.user_id !== userId || keys.device_id !== device_id)
    throw new InvalidParamError('keys: belong to another device')
  return keyText(keys)
}

/**
 * Parses a remote user's cross-signing keys, of at most `most` bytes each. Throws M_BAD_JSON, M_INVALID_PARAM or
 * M_TOO_LARGE for invalid keys.
 */
export function remoteCrossSigningKeys(
  userId: UserId,
  given: { master_key?: unknown; self_signing_key?: unknown },
  most: number,
): Omit<CrossSigningKeyRow, 'user_id'>[] {
  return (['master', 'self_signing'] as const).flatMap((usage) => {
    const object = given[`${usage}_key`]
    if (object === undefined || object === null) return []
    const { key, publicKey } = parseCrossSigningKey(object)
    if (key.user_id !== userId || !key.usage.includes(usage)) {
      throw new InvalidParamError(`${usage}_key: is no such key of the user`)
    }
    const text = keyText(key)
    if (!fits(text, most)) throw new TooLargeError(`${usage}_key: is too large`)
    return [{ usage, public_key: publicKey, key_json: text }]
  })
}
