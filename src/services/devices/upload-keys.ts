import type { App } from '../../app.ts'
import { checkOneTimeKey, keyText, parseDeviceKeys, parseKeyName } from '../../core/devices/key-objects.ts'
import { InvalidParamError, MatrixError } from '../../core/errors.ts'
import { requireCount, requireSize, requireTotal } from '../../core/limits.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { lockDevice, measureDeviceKeys, storeDeviceKeys } from '../../storage/devices/device-keys.ts'
import { countFallbackKeys, replaceFallbackKeys } from '../../storage/devices/fallback-keys.ts'
import { addOneTimeKeys, countOneTimeKeys, type UploadedKey } from '../../storage/devices/one-time-keys.ts'
import type { Tx } from '../../storage/engine/database.ts'
import type { DeviceKey } from '../../storage/schema/users.ts'

/** One-time or fallback keys by `<algorithm>:<key_id>`. */
type KeyMap = Record<string, string | JsonObject>

/** The keys that a device publishes; each part may be absent. */
export type KeyUpload = {
  device_keys?: JsonObject | undefined
  one_time_keys?: KeyMap | undefined
  fallback_keys?: KeyMap | undefined
}

/**
 * Publishes keys of a device in one transaction, and returns the number of its one-time keys by algorithm. Throws
 * M_BAD_JSON for malformed keys, M_INVALID_PARAM for those of another device or with the ID of another key, and
 * M_TOO_LARGE.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysupload
 */
export async function uploadKeys(
  app: Pick<App, 'database' | 'config'>,
  device: DeviceKey,
  upload: KeyUpload,
): Promise<Record<string, number>> {
  const keys = parseUpload(app, device, upload)
  return app.database.write((tx) => storeKeys(app, tx, { device, keys }))
}

type ParsedUpload = { deviceKeys: string | undefined; oneTimeKeys: UploadedKey[]; fallbackKeys: UploadedKey[] }

/** Validates an upload. Throws as `uploadKeys`. */
export function parseUpload(
  { config: { limits } }: Pick<App, 'config'>,
  device: DeviceKey,
  upload: KeyUpload,
): ParsedUpload {
  const fallbackKeys = parseKeys(limits, upload.fallback_keys)
  if (new Set(fallbackKeys.map((key) => key.algorithm)).size < fallbackKeys.length) {
    throw new InvalidParamError('fallback_keys: only one key of each algorithm')
  }
  return {
    deviceKeys: upload.device_keys && deviceKeysText(limits, device, upload.device_keys),
    oneTimeKeys: parseKeys(limits, upload.one_time_keys),
    fallbackKeys,
  }
}

/** Stores a validated upload, and returns the number of one-time keys by algorithm. Throws as `uploadKeys`. */
export async function storeKeys(
  { config: { limits } }: Pick<App, 'config'>,
  tx: Tx,
  { device, keys: upload }: { device: DeviceKey; keys: ParsedUpload },
): Promise<Record<string, number>> {
  if (!(await lockDevice(tx, device))) throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'The device was logged out')
  if (upload.deviceKeys !== undefined && (await storeDeviceKeys(tx, device, upload.deviceKeys)))
    requireTotal(limits, 'device_keys', await measureDeviceKeys(tx, device.userId))
  const [taken] = await addOneTimeKeys(tx, device, upload.oneTimeKeys)
  // Clients recognise this error by the beginning of the message.
  if (taken)
    throw new InvalidParamError(`One time key ${taken.algorithm}:${taken.key_id} already exists, and is another key`)
  const counts = await countOneTimeKeys(tx, device)
  if (upload.oneTimeKeys.length > 0) {
    const sum = Object.values(counts).reduce((total, count) => total + count, 0)
    requireCount(limits, 'one_time_keys', sum)
  }
  await replaceFallbackKeys(tx, device, upload.fallbackKeys)
  if (upload.fallbackKeys.length > 0) requireCount(limits, 'fallback_keys', await countFallbackKeys(tx, device))
  return counts
}

type Limits = App['config']['limits']

function deviceKeysText(limits: Limits, { userId, deviceId }: DeviceKey, object: JsonObject): string {
  const keys = parseDeviceKeys(object)
  if (keys.user_id !== userId) throw new InvalidParamError('device_keys.user_id: is not the user who uploads')
  if (keys.device_id !== deviceId) throw new InvalidParamError('device_keys.device_id: is not the device that uploads')
  const text = keyText(keys)
  requireSize(limits, 'device_keys', text)
  return text
}

function parseKeys(limits: Limits, keys: KeyMap = {}): UploadedKey[] {
  return Object.entries(keys).map(([name, key]) => {
    checkOneTimeKey(name, key)
    const text = keyText(key)
    requireSize(limits, 'one_time_key', text)
    return { ...parseKeyName(name), key_json: text }
  })
}
