import type { App } from '../../app.ts'
import { InvalidParamError, MatrixError } from '../../core/errors.ts'
import type { JsonObject } from '../../core/events/pdu.ts'
import { keyText, parseDeviceKeys, parseKeyName } from '../../core/key-objects.ts'
import type { Tx } from '../../storage/database.ts'
import { lockDevice, storeDeviceKeys } from '../../storage/device-keys.ts'
import type { DeviceKey } from '../../storage/devices.ts'
import { replaceFallbackKeys } from '../../storage/fallback-keys.ts'
import { addOneTimeKeys, countOneTimeKeys, type UploadedKey } from '../../storage/one-time-keys.ts'

/** One-time or fallback keys by `<algorithm>:<key_id>`. */
type KeyMap = Record<string, string | JsonObject>

/** What a device publishes; each part may be absent. */
export type KeyUpload = {
  device_keys?: JsonObject | undefined
  one_time_keys?: KeyMap | undefined
  fallback_keys?: KeyMap | undefined
}

/**
 * Publishes keys of a device; returns how many one-time keys it has now, by algorithm. All of the upload is stored, or nothing.
 * Throws M_BAD_JSON for malformed keys, M_INVALID_PARAM for those of another device or whose id another key has.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysupload
 */
export async function uploadKeys(
  app: Pick<App, 'database'>,
  device: DeviceKey,
  upload: KeyUpload,
): Promise<Record<string, number>> {
  const keys = parseUpload(device, upload)
  return app.database.write(async (tx) => {
    await storeKeys(tx, device, keys)
    return countOneTimeKeys(tx, device)
  })
}

type ParsedUpload = { deviceKeys: string | undefined; oneTimeKeys: UploadedKey[]; fallbackKeys: UploadedKey[] }

/** Checks an upload; throws as `uploadKeys` does. */
export function parseUpload(device: DeviceKey, upload: KeyUpload): ParsedUpload {
  const fallbackKeys = parseKeys(upload.fallback_keys)
  if (new Set(fallbackKeys.map((key) => key.algorithm)).size < fallbackKeys.length) {
    throw new InvalidParamError('fallback_keys: only one key of each algorithm')
  }
  return {
    deviceKeys: upload.device_keys && deviceKeysText(device, upload.device_keys),
    oneTimeKeys: parseKeys(upload.one_time_keys),
    fallbackKeys,
  }
}

/** Stores a checked upload. */
export async function storeKeys(tx: Tx, device: DeviceKey, upload: ParsedUpload): Promise<void> {
  if (!(await lockDevice(tx, device))) throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'The device has been logged out')
  if (upload.deviceKeys !== undefined) await storeDeviceKeys(tx, device, upload.deviceKeys)
  const [taken] = await addOneTimeKeys(tx, device, upload.oneTimeKeys)
  // Clients recognise this fault of theirs by the beginning of the message.
  if (taken)
    throw new InvalidParamError(`One time key ${taken.algorithm}:${taken.key_id} already exists, and is another key`)
  await replaceFallbackKeys(tx, device, upload.fallbackKeys)
}

function deviceKeysText({ userId, deviceId }: DeviceKey, object: JsonObject): string {
  const keys = parseDeviceKeys(object)
  if (keys.user_id !== userId) throw new InvalidParamError('device_keys.user_id: is not the user who uploads')
  if (keys.device_id !== deviceId) throw new InvalidParamError('device_keys.device_id: is not the device that uploads')
  return keyText(keys)
}

function parseKeys(keys: KeyMap = {}): UploadedKey[] {
  return Object.entries(keys).map(([name, key]) => ({ ...parseKeyName(name), key_json: keyText(key) }))
}
