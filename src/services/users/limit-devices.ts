import type { App } from '../../app.ts'
import { deleteDevices, findIdleDevices } from '../../storage/devices/devices.ts'
import type { Tx } from '../../storage/engine/database.ts'
import type { DeviceKey } from '../../storage/schema/users.ts'

/**
 * Ends the devices that a user has beyond `limits.counts.devices`, those that were not used for the longest time: programs that log in each time
 * they run would otherwise be locked out. The new device and a dehydrated one stay. The caller has locked the user.
 */
export async function limitDevices(
  { config, logger }: Pick<App, 'config' | 'logger'>,
  tx: Tx,
  { userId, deviceId }: DeviceKey,
): Promise<void> {
  const idle = await findIdleDevices(tx, userId, { except: deviceId, most: config.limits.counts.devices })
  if (idle.length === 0) return
  await deleteDevices(tx, userId, { only: idle })
  logger.info({ user_id: userId, device_ids: idle }, 'devices of a user removed, as there are too many')
}
