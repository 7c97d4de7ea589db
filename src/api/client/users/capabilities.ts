import { isStableRoomVersion, ROOM_VERSIONS } from '../../../core/room-versions.ts'
import { canChangePassword } from '../../../services/users/set-password.ts'
import { v3 } from '../../http/client-paths.ts'
import { route } from '../../http/route.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#capabilities-negotiation */
export const getCapabilities = route({
  method: 'GET',
  path: v3('/capabilities'),
  auth: 'user',
  async handle({ session }, app) {
    // With a scoped token, the account page is for these.
    const isFree = session.scope === null
    const { delayed_events: delayed } = app.config
    return {
      capabilities: {
        'm.room_versions': {
          default: app.config.default_room_version,
          available: Object.fromEntries(
            [...ROOM_VERSIONS.keys()].map((id) => [id, isStableRoomVersion(id) ? 'stable' : 'unstable']),
          ),
        },
        'm.change_password': { enabled: isFree && (await canChangePassword(app, session)) },
        'm.set_displayname': { enabled: true },
        'm.set_avatar_url': { enabled: true },
        'm.profile_fields': { enabled: true },
        'uk.tcpip.msc4133.profile_fields': { enabled: true },
        'm.3pid_changes': {
          enabled: isFree && (app.mailer !== undefined || app.config.phone.gateway_url !== undefined),
        },
        'm.get_login_token': { enabled: isFree },
        'm.forget_forced_upon_leave': { enabled: false },
        'io.element.msc4452.preview_url': { enabled: app.config.url_previews.enabled },
        ...(delayed.max_delay > 0 && {
          'org.matrix.msc4140.delayed_events': {
            max_delay_ms: delayed.max_delay,
            max_scheduled: delayed.max_scheduled,
          },
        }),
        ...(session.isAdmin && { 'm.account_moderation': { suspend: true, lock: true } }),
      },
    }
  },
})
