import type { App } from '../../../app.ts'
import type { UserId } from '../../../core/ids.ts'
import type { Db } from '../../../storage/engine/database.ts'
import { loadKeys, type QueriedKeys } from '../../devices/load-keys.ts'

/**
 * Loads keys of local users for other servers. Device names are included only if configured. `wanted`: the devices of
 * each user; an empty list means all.
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
