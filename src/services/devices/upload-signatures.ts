import type { App } from '../../app.ts'
import { keyText } from '../../core/devices/key-objects.ts'
import { InvalidParamError, MatrixError, NotFoundError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { requireCount } from '../../core/limits.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { verifyJson } from '../../core/signing/verify-json.ts'
import { loadCrossSigningKeys, storeSignatures } from '../../storage/devices/cross-signing-keys.ts'
import { loadDeviceKeys } from '../../storage/devices/device-keys.ts'
import type { Tx } from '../../storage/engine/database.ts'
import type { CrossSigningKeyRow, CrossSigningSignatureRow, CrossSigningUsage } from '../../storage/schema/devices.ts'

/** Signed keys by user id, and by device id or public key of a master key. */
export type SignatureUpload = ReadonlyMap<UserId, Record<string, JsonObject>>

type Failures = Record<string, Record<string, { errcode: string; error: string }>>

/** A user's keys that can be signed or can sign. */
type KnownKeys = { devices: Map<string, JsonObject>; crossSigning: readonly CrossSigningKeyRow[] }

/** A signed key, and the keys with which the uploader may have signed it: key ID to public key. */
type Target = { signer: UserId; userId: UserId; keyId: string; stored: JsonObject; signingKeys: Map<string, string> }

/**
 * Adds signatures by `signer` to keys: own devices (signed by the self-signing key), the own master key (by own
 * devices), and other users' master keys (by the user-signing key). Each must be valid for the key as stored. Returns
 * the failures. Throws M_TOO_LARGE.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keyssignaturesupload
 */
export async function uploadSignatures(
  app: Pick<App, 'database' | 'config'>,
  signer: UserId,
  upload: SignatureUpload,
): Promise<Failures> {
  const signed = [...upload.values()].reduce((sum, keys) => sum + Object.keys(keys).length, 0)
  requireCount(app.config.limits, 'signed_keys', signed)
  return app.database.write(async (tx) => {
    const known = await loadKnownKeys(tx, { signer, bytes: app.config.limits.totals.device_keys }, [...upload.keys()])
    const failures: Failures = {}
    const valid: CrossSigningSignatureRow[] = []
    for (const [userId, keys] of upload) {
      for (const [keyId, signed] of Object.entries(keys)) {
        try {
          valid.push(...checkSigned(targetOf(known, { signer, userId, keyId }), signed))
        } catch (error) {
          if (!(error instanceof MatrixError)) throw error
          failures[userId] = { ...failures[userId], [keyId]: { errcode: error.errcode, error: error.message } }
        }
      }
    }
    await storeSignatures(tx, valid)
    return failures
  })
}

async function loadKnownKeys(
  tx: Tx,
  { signer, bytes }: { signer: UserId; bytes: number },
  userIds: readonly UserId[],
): Promise<KnownKeys> {
  const devices = await loadDeviceKeys(tx, [{ userId: signer }], bytes)
  return {
    devices: new Map(devices.map(({ device_id, key_json }) => [device_id, JSON.parse(key_json)])),
    crossSigning: await loadCrossSigningKeys(tx, [...new Set([signer, ...userIds])]),
  }
}

function targetOf(
  known: KnownKeys,
  { signer, userId, keyId }: { signer: UserId; userId: UserId; keyId: string },
): Target {
  const target = { signer, userId, keyId }
  const device = userId === signer ? known.devices.get(keyId) : undefined
  if (device) return { ...target, stored: device, signingKeys: ownKey(known, signer, 'self_signing') }
  const master = findKey(known, userId, 'master')
  if (!master || master.public_key !== keyId) throw new NotFoundError('Unknown key')
  const signingKeys = userId === signer ? deviceSigningKeys(known) : ownKey(known, signer, 'user_signing')
  return { ...target, stored: JSON.parse(master.key_json), signingKeys }
}

function findKey(known: KnownKeys, userId: UserId, usage: CrossSigningUsage): CrossSigningKeyRow | undefined {
  return known.crossSigning.find((key) => key.user_id === userId && key.usage === usage)
}

function ownKey(known: KnownKeys, signer: UserId, usage: CrossSigningUsage): Map<string, string> {
  const key = findKey(known, signer, usage)
  if (!key) throw new NotFoundError(`There is no ${usage} key for the signature`)
  return new Map([[`ed25519:${key.public_key}`, key.public_key]])
}

function deviceSigningKeys({ devices }: KnownKeys): Map<string, string> {
  return new Map(
    [...devices].map(([deviceId, { keys }]) => {
      const keyId = `ed25519:${deviceId}`
      return [keyId, String((keys as JsonObject)[keyId])]
    }),
  )
}

/**
 * Returns the signatures that the signer may make on a key; others are ignored. Throws if there is none, one is
 * invalid, or the key is not the stored one.
 */
function checkSigned(
  { signer, userId, keyId, stored, signingKeys }: Target,
  signed: JsonObject,
): CrossSigningSignatureRow[] {
  if (unsignedText(signed) !== unsignedText(stored)) throw new InvalidParamError('This is not the key as it is stored')
  const made = Object.entries((signed.signatures as Record<string, JsonObject> | undefined)?.[signer] ?? {})
  const signatures = made.filter(([id]) => signingKeys.has(id))
  const isValid = signatures.every(([id]) => verifyJson(signed, signer, id, signingKeys.get(id) ?? ''))
  if (signatures.length === 0 || !isValid) {
    throw new MatrixError(400, 'M_INVALID_SIGNATURE', 'The signature is missing or not valid')
  }
  return signatures.map(([id, signature]) => ({
    signer,
    signing_key_id: id,
    target_user_id: userId,
    target_key: keyId,
    signature: String(signature),
  }))
}

function unsignedText(key: JsonObject): string {
  const { signatures: _signatures, ...rest } = key
  return keyText(rest)
}
