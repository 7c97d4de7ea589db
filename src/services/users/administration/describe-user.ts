import type { App } from '../../../app.ts'
import { hasExclusively } from '../../../core/appservice.ts'
import type { UserId } from '../../../core/ids.ts'
import { loadUpstreamLinks } from '../../../storage/sign-in/upstream-links.ts'
import { loadProfile, type Profile } from '../../../storage/users/profiles.ts'
import { loadThreepids } from '../../../storage/users/threepids.ts'
import { findLastSeen } from '../../../storage/users/user-lists.ts'
import { findLocalUser } from '../account-moderation.ts'

/** Describes a user to administrators, in the form of Synapse's admin API. Throws as findLocalUser. */
export async function describeUser(app: Pick<App, 'database' | 'serverName' | 'config'>, userId: UserId) {
  const user = await findLocalUser(app, userId)
  const [profile, threepids, links, lastSeen] = await Promise.all([
    loadProfile(app.database, userId),
    loadThreepids(app.database, userId),
    loadUpstreamLinks(app.database, userId),
    findLastSeen(app.database, userId),
  ])
  const { displayname = null, avatar_url = null }: Profile = profile
  return {
    ...{ name: userId, displayname, avatar_url, is_guest: user.is_guest, admin: user.is_admin },
    ...{ deactivated: user.deactivated_ts !== null, erased: user.erased },
    ...{ locked: user.locked, suspended: user.suspended, shadow_banned: user.shadow_banned },
    ...{ user_type: user.user_type, creation_ts: user.created_ts, last_seen_ts: lastSeen },
    appservice_id: appserviceIdOf(app, userId),
    ...{ consent_version: null, consent_ts: null, consent_server_notice_sent: null },
    threepids: threepids.map(({ medium, address, added_ts, validated_ts }) => ({
      ...{ medium, address, added_at: added_ts, validated_at: validated_ts },
    })),
    external_ids: links.map(({ provider_id, subject }) => ({ auth_provider: provider_id, external_id: subject })),
  }
}

/** Returns the application service to which a user belongs; null: none. */
export function appserviceIdOf({ config }: Pick<App, 'config'>, userId: UserId): string | null {
  return config.appservices.find((appservice) => hasExclusively(appservice, 'users', userId))?.id ?? null
}
