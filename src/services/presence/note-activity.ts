import type { App } from '../../app.ts'
import type { UserId } from '../../core/ids.ts'

/**
 * Records activity of a user, such as sending a message, which makes an idle user online. Costs nothing if recorded
 * within the last minute.
 */
export function noteActivity(app: Pick<App, 'config' | 'presence'>, userId: UserId): void {
  if (app.config.presence.enabled) app.presence.noteActivity(userId)
}
