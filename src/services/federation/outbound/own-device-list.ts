import type { App } from '../../../app.ts'
import { NotFoundError } from '../../../core/errors.ts'
import { serverNameOf, type UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { loadDeviceStreams } from '../../../storage/federation/federation-progress.ts'
import { findUser } from '../../../storage/users/users.ts'
import { loadKeysForServers } from './keys-for-servers.ts'

/**
 * Returns a local user's devices with keys, and the stream ID of the last change sent to other servers: changes made
 * during this read are sent afterwards and follow it. Throws M_NOT_FOUND.
 * https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1userdevicesuserid
 */
export async function ownDeviceList(
  app: Pick<App, 'config' | 'database' | 'serverName'>,
  userId: UserId,
): Promise<JsonObject> {
  const user = serverNameOf(userId) === app.serverName ? await findUser(app.database, userId) : undefined
  if (!user) throw new NotFoundError('Unknown user')
  const streams = await loadDeviceStreams(app.database, [userId])
  const keys = await loadKeysForServers(app, app.database, new Map([[userId, []]]))
  const { [userId]: master } = keys.master_keys
  const { [userId]: selfSigning } = keys.self_signing_keys
  return {
    user_id: userId,
    stream_id: streams.get(userId) ?? 0,
    devices: Object.entries(keys.device_keys[userId] ?? {}).map(([device_id, { unsigned, ...device }]) => ({
      device_id,
      keys: device,
      ...(unsigned as { device_display_name?: string } | undefined),
    })),
    ...(master && { master_key: master }),
    ...(selfSigning && { self_signing_key: selfSigning }),
  }
}
