import type { App } from '../../app.ts'
import { NotFoundError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { loadDevices } from '../../storage/devices/devices.ts'
import { findUser } from '../../storage/users/users.ts'

type Connection = { ip: string; last_seen: number; user_agent?: string }

/**
 * Returns the addresses from which a user's devices were last seen. Throws M_NOT_FOUND.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3adminwhoisuserid
 */
export async function describeConnections(
  app: Pick<App, 'database'>,
  userId: UserId,
): Promise<{ user_id: UserId; devices: Record<string, { sessions: { connections: Connection[] }[] }> }> {
  if (!(await findUser(app.database, userId))) throw new NotFoundError('Unknown user')
  const devices = await loadDevices(app.database, userId)
  const entries = devices.map((device) => {
    const { last_seen_ip: ip, last_seen_ts: lastSeen, last_seen_user_agent: agent } = device
    const seen = ip !== null && lastSeen !== null
    const connections = seen ? [{ ip, last_seen: lastSeen, ...(agent !== null && { user_agent: agent }) }] : []
    return [device.device_id, { sessions: [{ connections }] }]
  })
  return { user_id: userId, devices: Object.fromEntries(entries) }
}
