import type { UserId } from '../../core/ids.ts'
import { devicePresenceOf } from './device-presence.ts'
import type { PresenceApp } from './presence-writer.ts'

/**
 * Records activity of a user, such as sending a message, which makes an idle user online. Costs nothing if recorded
 * within the last minute.
 */
export function noteActivity(app: PresenceApp, userId: UserId): void {
  if (app.config.presence.enabled) devicePresenceOf(app).noteActivity(userId)
}
