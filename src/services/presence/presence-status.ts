import type { App } from '../../app.ts'
import { ForbiddenError } from '../../core/errors.ts'
import type { DeviceId, UserId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { presenceContent } from '../../core/presence-content.ts'
import { storableText } from '../../storage/engine/storable-text.ts'
import { findPresence, shareRoom } from '../../storage/presence/presence.ts'
import type { PresenceState } from '../../storage/schema/presence.ts'

/**
 * Sets a user's presence through a device. Does nothing if presence is disabled.
 * https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3presenceuseridstatus
 */
export async function setPresenceStatus(
  app: Pick<App, 'config' | 'presence'>,
  {
    statusMsg,
    ...device
  }: {
    userId: UserId
    deviceId: DeviceId | null
    presence: PresenceState
    statusMsg: string | null | undefined
  },
): Promise<void> {
  if (!app.config.presence.enabled) return
  await app.presence.set({ ...device, statusMsg: statusMsg ? storableText(statusMsg) : null })
}

/**
 * Returns another user's presence. Throws M_FORBIDDEN if they share no room.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3presenceuseridstatus
 */
export async function getPresenceStatus(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  userId: UserId,
  other: UserId,
): Promise<JsonObject> {
  if (userId !== other && !(await shareRoom(app.database, userId, other))) {
    throw new ForbiddenError('You do not share a room with this user')
  }
  const known = app.config.presence.enabled ? await findPresence(app.database, other) : undefined
  return known ? presenceContent(known, app.clock.now()) : { presence: 'offline' }
}
