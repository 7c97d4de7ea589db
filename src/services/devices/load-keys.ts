import type { App } from '../../app.ts'
import type { UserId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { loadCrossSigningKeys, loadSignatures } from '../../storage/devices/cross-signing-keys.ts'
import { loadDeviceKeys } from '../../storage/devices/device-keys.ts'
import type { Db } from '../../storage/engine/database.ts'
import type { CrossSigningSignatureRow } from '../../storage/schema/devices.ts'

/** Keys by user ID; device keys by device ID below that. */
export type QueriedKeys = {
  device_keys: Record<string, Record<string, JsonObject>>
  master_keys: Record<string, JsonObject>
  self_signing_keys: Record<string, JsonObject>
  user_signing_keys: Record<string, JsonObject>
}

type Signatures = Record<string, Record<string, string>>

/**
 * Loads the identity and cross-signing keys of local users as `viewer` may see them. `wanted` has the devices of each
 * user; an empty list means all of them. `viewer` undefined: another server, which sees only public keys.
 */
export async function loadKeys(
  { config }: Pick<App, 'config'>,
  db: Db,
  { viewer, wanted }: { viewer: UserId | undefined; wanted: ReadonlyMap<UserId, readonly string[]> },
): Promise<QueriedKeys> {
  const userIds = [...wanted.keys()]
  const [devices, crossSigning, signatures] = await Promise.all([
    loadDeviceKeys(
      db,
      [...wanted].map(([userId, ids]) => ({ userId, deviceIds: ids.length > 0 ? ids : undefined })),
      config.limits.answers.keys,
    ),
    loadCrossSigningKeys(db, userIds),
    loadSignatures(db, userIds, viewer),
  ])
  const signaturesOf = bySignedKey(signatures)
  const ofUsage = (usage: string, visible = (_userId: UserId) => true) =>
    Object.fromEntries(
      crossSigning
        .filter((key) => key.usage === usage && visible(key.user_id))
        .map((key) => [
          key.user_id,
          withSignatures(JSON.parse(key.key_json), signaturesOf(key.user_id, key.public_key)),
        ]),
    )
  const deviceKeys = new Map(userIds.map((userId) => [userId, {} as Record<string, JsonObject>]))
  for (const { user_id, device_id, key_json, display_name } of devices) {
    const keys = withSignatures(JSON.parse(key_json), signaturesOf(user_id, device_id))
    if (display_name !== null) keys.unsigned = { device_display_name: display_name }
    Object.defineProperty(deviceKeys.get(user_id), device_id, { value: keys, enumerable: true })
  }
  return {
    device_keys: Object.fromEntries(deviceKeys),
    master_keys: ofUsage('master'),
    self_signing_keys: ofUsage('self_signing'),
    user_signing_keys: ofUsage('user_signing', (userId) => userId === viewer),
  }
}

/** Groups signatures by user and signed key. */
export function bySignedKey(rows: readonly CrossSigningSignatureRow[]): (userId: UserId, key: string) => Signatures {
  const signatures = new Map<string, Signatures>()
  for (const { target_user_id, target_key, signer, signing_key_id, signature } of rows) {
    const place = `${target_user_id} ${target_key}`
    const known = signatures.get(place)
    signatures.set(place, { ...known, [signer]: { ...known?.[signer], [signing_key_id]: signature } })
  }
  return (userId, key) => signatures.get(`${userId} ${key}`) ?? {}
}

/** Returns a key with signatures added. */
export function withSignatures(key: JsonObject, added: Signatures): JsonObject {
  const merged = { ...(key.signatures as Signatures | undefined) }
  for (const [signer, signatures] of Object.entries(added)) merged[signer] = { ...merged[signer], ...signatures }
  return Object.keys(merged).length > 0 ? { ...key, signatures: merged } : key
}
