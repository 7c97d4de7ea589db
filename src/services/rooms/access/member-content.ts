import type { JsonObject } from '../../../core/pdu.ts'
import type { Membership } from '../../../core/rooms/membership.ts'
import type { Profile } from '../../../storage/users/profiles.ts'

/**
 * The content of a member event: what the sender wants in it, and the profile of the user whose membership it is where
 * that is of use to others. https://spec.matrix.org/v1.19/client-server-api/#events-on-change-of-profile-information
 */
export function memberContent(membership: Membership, wanted: JsonObject, profile: Profile): JsonObject {
  // Who authorised a join is for this server to say: https://spec.matrix.org/v1.19/client-server-api/#mroommember
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
