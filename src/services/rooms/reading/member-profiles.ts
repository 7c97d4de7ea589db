import { isDeepStrictEqual } from 'node:util'
import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import type { LockedRoom } from '../../../storage/rooms/timeline/locked-room.ts'
import { loadProfile } from '../../../storage/users/profiles.ts'
import { findUser } from '../../../storage/users/users.ts'
import { memberContent } from '../access/member-content.ts'
import { membershipIn, readMember } from '../access/room-member.ts'
import { appendEvent } from '../timeline/append-event.ts'
import { inEveryRoom } from '../timeline/in-every-room.ts'
import { runInRoom } from '../timeline/run-in-room.ts'

/**
 * Updates a user's member events in all joined rooms to the current display name and avatar, a few rooms at a time.
 * Does nothing for shadow-banned users. Rejects if it has to be retried.
 * https://spec.matrix.org/v1.19/client-server-api/#events-on-change-of-profile-information
 */
export async function updateMemberProfiles(app: App, userId: UserId): Promise<void> {
  if ((await findUser(app.database, userId))?.shadow_banned) return
  await inEveryRoom(app, { userId, memberships: ['join'], what: 'updating a profile' }, (roomId) =>
    updateMemberProfile(app, roomId, userId),
  )
}

function updateMemberProfile(app: App, roomId: RoomId, userId: UserId): Promise<void> {
  return runInRoom(app, roomId, async (room: LockedRoom) => {
    const member = await readMember(room, userId)
    if (!member || membershipIn(member) !== 'join') return
    // Read under the room lock, so that the later of two concurrent changes wins.
    const profile = await loadProfile(room.db, userId)
    const { displayname: _name, avatar_url: _avatar, reason: _reason, ...kept } = member.pdu.content
    const content = memberContent('join', kept, profile)
    if (isDeepStrictEqual(content, member.pdu.content)) return
    await appendEvent(app, room, { type: 'm.room.member', state_key: userId, sender: userId, content })
  })
}
