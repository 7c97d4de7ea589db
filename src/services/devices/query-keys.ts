import type { App } from '../../app.ts'
import type { JsonObject } from '../../core/events/pdu.ts'
import { serverNameOf, type UserId } from '../../core/ids.ts'
import { loadCrossSigningKeys, loadSignatures } from '../../storage/cross-signing-keys.ts'
import type { Db } from '../../storage/database.ts'
import { loadDeviceKeys } from '../../storage/device-keys.ts'
import type { CrossSigningSignatureRow } from '../../storage/encryption-schema.ts'
import { unreachableServers } from './unreachable-servers.ts'

/** Keys of users, by user id; those of devices by device id below that. */
export type QueriedKeys = {
  device_keys: Record<string, Record<string, JsonObject>>
  master_keys: Record<string, JsonObject>
  self_signing_keys: Record<string, JsonObject>
  user_signing_keys: Record<string, JsonObject>
}

type Signatures = Record<string, Record<string, string>>

/**
 * The identity and cross-signing keys of users as `viewer` may see them; `wanted`: for each user the devices, none for all of them.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysquery
 */
export async function queryKeys(
  app: Pick<App, 'database' | 'serverName'>,
  viewer: UserId,
  wanted: ReadonlyMap<UserId, readonly string[]>,
): Promise<QueriedKeys & { failures: Record<string, object> }> {
  const local = new Map([...wanted].filter(([userId]) => serverNameOf(userId) === app.serverName))
  return { failures: unreachableServers(app, wanted.keys()), ...(await loadKeys(app.database, viewer, local)) }
}

/** As `queryKeys`, of users of this server. `viewer` undefined: another server, which sees what everybody may see. */
export async function loadKeys(
  db: Db,
  viewer: UserId | undefined,
  wanted: ReadonlyMap<UserId, readonly string[]>,
): Promise<QueriedKeys> {
  const userIds = [...wanted.keys()]
  const [devices, crossSigning, signatures] = await Promise.all([
    loadDeviceKeys(
      db,
      [...wanted].map(([userId, ids]) => ({ userId, deviceIds: ids.length > 0 ? ids : undefined })),
    ),
    loadCrossSigningKeys(db, userIds),
    loadSignatures(db, userIds, viewer),
  ])
  const signaturesOf = bySignedKey(signatures)
  const ofUsage = (usage: string, visible = (_userId: UserId) => true) =>
    Object.fromEntries(
      crossSigning
        .filter((key) => key.usage === usage && visible(key.user_id))
        .map((key) => [key.user_id, signed(key.key_json, signaturesOf(key.user_id, key.public_key))]),
    )
  const deviceKeys = new Map(userIds.map((userId) => [userId, {} as Record<string, JsonObject>]))
  for (const { user_id, device_id, key_json, display_name } of devices) {
    const keys = signed(key_json, signaturesOf(user_id, device_id))
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

function bySignedKey(rows: readonly CrossSigningSignatureRow[]): (userId: UserId, key: string) => Signatures {
  const signatures = new Map<string, Signatures>()
  for (const { target_user_id, target_key, signer, signing_key_id, signature } of rows) {
    const place = `${target_user_id} ${target_key}`
    const known = signatures.get(place)
    signatures.set(place, { ...known, [signer]: { ...known?.[signer], [signing_key_id]: signature } })
  }
  return (userId, key) => signatures.get(`${userId} ${key}`) ?? {}
}

/** A key with further signatures beside those that it came with. */
function signed(keyJson: string, added: Signatures): JsonObject {
  const key = JSON.parse(keyJson) as JsonObject
  const merged = { ...(key.signatures as Signatures | undefined) }
  for (const [signer, signatures] of Object.entries(added)) merged[signer] = { ...merged[signer], ...signatures }
  return Object.keys(merged).length > 0 ? { ...key, signatures: merged } : key
}
