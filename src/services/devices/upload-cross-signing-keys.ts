import type { App } from '../../app.ts'
import { type CrossSigningKeyObject, keyText, parseUploadedCrossSigningKey } from '../../core/devices/key-objects.ts'
import { ForbiddenError, InvalidParamError, MatrixError, MissingParamError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { requireSize } from '../../core/limits.ts'
import { verifyJson } from '../../core/signing/verify-json.ts'
import { loadCrossSigningKeys, storeCrossSigningKeys } from '../../storage/devices/cross-signing-keys.ts'
import { deleteCrossSigningReset, isCrossSigningResetAllowed } from '../../storage/devices/cross-signing-resets.ts'
import { loadDevices } from '../../storage/devices/devices.ts'
import type { CrossSigningKeyRow, CrossSigningUsage } from '../../storage/schema/devices.ts'
import { lockUser } from '../../storage/users/users.ts'

/** The keys of an upload, as the client sends them. */
export type CrossSigningUpload = Partial<Record<`${CrossSigningUsage}_key`, unknown>>

type NewKey = { usage: CrossSigningUsage; publicKey: string; key: CrossSigningKeyObject }

const USAGES: readonly CrossSigningUsage[] = ['master', 'self_signing', 'user_signing']

/**
 * Publishes cross-signing keys in one transaction. Returns false, and stores nothing, when the upload changes existing
 * keys and the user is neither `authenticated` for that nor has permitted it on the account page: the caller then has
 * to authenticate the user. A new master key ends the permission. Uploading existing keys changes nothing.
 *
 * Throws M_BAD_JSON, M_TOO_LARGE, M_INVALID_PARAM, M_INVALID_SIGNATURE, M_MISSING_PARAM (no master key) and M_FORBIDDEN
 * (a key has the ID of a device).
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysdevice_signingupload
 */
export async function uploadCrossSigningKeys(
  app: Pick<App, 'database' | 'config' | 'clock'>,
  { userId, upload, authenticated }: { userId: UserId; upload: CrossSigningUpload; authenticated: boolean },
): Promise<boolean> {
  const keys = parseUpload(userId, upload)
  for (const { key } of keys) requireSize(app.config.limits, 'device_keys', keyText(key))
  return app.database.write(async (tx) => {
    await lockUser(tx, userId)
    const stored = await loadCrossSigningKeys(tx, [userId])
    const master = keys.find(isMaster)?.publicKey ?? stored.find(isMaster)?.public_key
    if (master === undefined) throw new MissingParamError('master_key: there is no master key yet')
    const changed = keys.filter((key) => !stored.some((old) => isSame(old, key)))
    if (changed.length === 0) return true
    if (stored.some(isMaster) && !authenticated && !(await isCrossSigningResetAllowed(tx, userId, app.clock.now())))
      return false
    for (const key of changed) if (key.usage !== 'master') checkSignature(userId, key, master)
    const deviceIds = new Set<string>((await loadDevices(tx, userId)).map((device) => device.device_id))
    if (changed.some((key) => deviceIds.has(key.publicKey))) throw new ForbiddenError('A key is named like a device')
    await storeCrossSigningKeys(tx, userId, changed.map(rowOf))
    if (changed.some(isMaster)) await deleteCrossSigningReset(tx, userId)
    return true
  })
}

function parseUpload(userId: UserId, upload: CrossSigningUpload): NewKey[] {
  return USAGES.flatMap((usage) => {
    const object = upload[`${usage}_key`]
    if (object === undefined || object === null) return []
    const { key, publicKey } = parseUploadedCrossSigningKey(object)
    if (key.user_id !== userId) throw new InvalidParamError(`${usage}_key.user_id: is not the user who uploads`)
    if (!key.usage.includes(usage)) throw new InvalidParamError(`${usage}_key.usage: does not have ${usage}`)
    return [{ usage, publicKey, key }]
  })
}

function isMaster({ usage }: { usage: CrossSigningUsage }): boolean {
  return usage === 'master'
}

function isSame(old: CrossSigningKeyRow, key: NewKey): boolean {
  return old.usage === key.usage && old.public_key === key.publicKey
}

function checkSignature(userId: UserId, { usage, key }: NewKey, master: string): void {
  if (verifyJson(key, userId, `ed25519:${master}`, master)) return
  throw new MatrixError(400, 'M_INVALID_SIGNATURE', `${usage}_key: is not signed by the master key`)
}

function rowOf({ usage, publicKey, key }: NewKey): Omit<CrossSigningKeyRow, 'user_id'> {
  return { usage, public_key: publicKey, key_json: keyText(key) }
}
