import type { UserId } from '../../core/ids.ts'
import { devicePresenceOf } from './device-presence.ts'
import type { PresenceApp } from './presence-writer.ts'

/**
 * Notes that a user does something, such as sending a message: who was idle is online again. Costs nothing if it was
 * noted within the last minute.
 */
export function noteActivity(app: PresenceApp, userId: UserId): void {
  if (app.config.presence.enabled) devicePresenceOf(app).noteActivity(userId)
}
