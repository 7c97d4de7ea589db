import type { App } from '../../../app.ts'
import type { UserId } from '../../../core/ids.ts'
import type { Db } from '../../../storage/engine/database.ts'
import { loadKeys, type QueriedKeys } from '../../devices/load-keys.ts'

/**
 * The keys of users of this server as other servers may see them: with the names that the users gave to their devices
 * only where the configuration says so. `wanted`: for each user the devices, none for all of them.
 */
export async function loadKeysForServers(
  app: Pick<App, 'config'>,
  db: Db,
  wanted: ReadonlyMap<UserId, readonly string[]>,
): Promise<Omit<QueriedKeys, 'user_signing_keys'>> {
  const { user_signing_keys: _, ...keys } = await loadKeys(app, db, { viewer: undefined, wanted })
  if (app.config.federation.tell_device_names) return keys
  for (const devices of Object.values(keys.device_keys))
    for (const device of Object.values(devices)) delete device.unsigned
  return keys
}
