import type { App } from '../../app.ts'
import { deleteDevices, findIdleDevices } from '../../storage/devices/devices.ts'
import type { Tx } from '../../storage/engine/database.ts'
import type { DeviceKey } from '../../storage/schema/users.ts'

/**
 * Removes the least recently used devices beyond `limits.counts.devices`, so that programs that log in at each run are
 * not locked out. The new device and a dehydrated one are kept. The caller has locked the user.
 */
export async function limitDevices(
  { config, logger }: Pick<App, 'config' | 'logger'>,
  tx: Tx,
  { userId, deviceId }: DeviceKey,
): Promise<void> {
  const idle = await findIdleDevices(tx, userId, { except: deviceId, most: config.limits.counts.devices })
  if (idle.length === 0) return
  await deleteDevices(tx, userId, { only: idle })
  logger.info({ user_id: userId, device_ids: idle }, 'devices of user removed, limit exceeded')
}
