import type { App } from '../../app.ts'
import { type RoomId, serverNameOf, type UserId } from '../../core/ids.ts'
import type { ThirdParty } from '../lookup/find-third-party.ts'
import { createLocally, type RoomRequest } from '../rooms/lifecycle/create-locally.ts'
import { inviteThirdParty } from './invite-third-party.ts'
import { inviteRemoteUser } from './invite-user.ts'

/** Concurrent invites: they all follow the same event. */
const AT_ONCE = 10

/**
 * Creates a room and invites the requested users. Remote users are invited once the room exists; servers that refuse or
 * cannot be reached are left out. Throws as `createLocally`.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom
 */
export async function createRoom(
  app: App,
  creator: UserId,
  { inviteThirdParties, ...request }: RoomRequest & { inviteThirdParties?: readonly ThirdParty[] | null | undefined },
): Promise<RoomId> {
  const roomId = await createLocally(app, creator, request)
  const invite = { roomId, sender: creator, content: request.isDirect ? { is_direct: true } : {} }
  const remoteUsers = [...new Set(request.invite)].filter((userId) => serverNameOf(userId) !== app.serverName)
  const invites = [
    ...remoteUsers.map((target) => () => inviteRemoteUser(app, { ...invite, target })),
    ...(inviteThirdParties ?? []).map((address) => () => inviteThirdParty(app, { ...invite, ...address })),
  ]
  for (let start = 0; start < invites.length; start += AT_ONCE) {
    await Promise.all(invites.slice(start, start + AT_ONCE).map((send) => send().catch(note)))
  }
  return roomId

  function note(error: unknown): void {
    app.logger.warn({ err: error, room_id: roomId }, 'invite to new room failed')
  }
}
