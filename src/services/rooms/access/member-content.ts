import type { JsonObject } from '../../../core/pdu.ts'
import type { Membership } from '../../../core/rooms/membership.ts'
import type { Profile } from '../../../storage/users/profiles.ts'

/**
 * Returns the content of a member event: the sender's keys, and the target's profile for memberships that show one.
 * https://spec.matrix.org/v1.19/client-server-api/#events-on-change-of-profile-information
 */
export function memberContent(membership: Membership, wanted: JsonObject, profile: Profile): JsonObject {
  // Only this server may set the authorising user of a join:
  // https://spec.matrix.org/v1.19/client-server-api/#mroommember
  const { join_authorised_via_users_server: _, ...content } = wanted
  if (membership === 'leave' || membership === 'ban') return { ...content, membership }
  const { displayname, avatar_url } = profile
  return {
    ...(displayname !== undefined && { displayname }),
    ...(avatar_url !== undefined && { avatar_url }),
    ...content,
    membership,
  }
}
