import type { App } from '../../../app.ts'
import type { UserId } from '../../../core/ids.ts'
import { parseSyncToken } from '../../../core/sync-token.ts'
import { type DeviceLists, deviceListChanges } from '../sections/device-lists.ts'
import { rowsOf } from './incremental-sync.ts'

/**
 * Returns the users whose keys changed between two sync tokens, as far as the user tracks them. Throws M_INVALID_PARAM
 * for malformed tokens.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3keyschanges
 */
export async function keyChanges(
  app: Pick<App, 'database' | 'stream' | 'logger' | 'sync'>,
  { userId, from, to }: { userId: UserId; from: string; to: string },
): Promise<DeviceLists> {
  const span = { from: parseSyncToken(from), to: parseSyncToken(to) }
  const user = await app.sync.connectedUsers.get(userId)
  await app.stream.refresh()
  const { rooms: present, joined } = user
  const rows = await rowsOf(app, { user, ...span, joined, present })
  return deviceListChanges(app, userId, { rows, joined, to: span.to })
}
