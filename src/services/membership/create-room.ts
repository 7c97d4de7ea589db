import type { App } from '../../app.ts'
import { type RoomId, serverNameOf, type UserId } from '../../core/ids.ts'
import type { ThirdParty } from '../lookup/find-third-party.ts'
import { newAlias } from '../rooms/directory/new-alias.ts'
import { createLocally, type RoomRequest } from '../rooms/lifecycle/create-locally.ts'
import { inviteThirdParty } from './invite-third-party.ts'
import { inviteUser } from './invite-user.ts'

/** Concurrent invites: they all follow the same event. */
const AT_ONCE = 10

/**
 * Creates a room and invites the requested users. Remote users, and all users if invites are checked for spam, are
 * invited once the room exists; those whose invite is refused are left out. Throws as `createLocally` and SpamChecks.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom
 */
export async function createRoom(
  app: App,
  creator: UserId,
  { inviteThirdParties, ...request }: RoomRequest & { inviteThirdParties?: readonly ThirdParty[] | null | undefined },
): Promise<RoomId> {
  await checkRoom(app, creator, request.aliasName)
  const invitees = [...new Set(request.invite)]
  const areChecked = app.spamChecks?.has('user_may_invite') ?? false
  const later = invitees.filter((userId) => areChecked || serverNameOf(userId) !== app.serverName)
  const roomId = await createLocally(app, creator, { ...request, invitesLater: areChecked })
  const invite = { roomId, sender: creator, content: request.isDirect ? { is_direct: true } : {} }
  const invites = [
    ...later.map((target) => () => inviteUser(app, { ...invite, target })),
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

async function checkRoom(
  { spamChecks, ...app }: App,
  creator: UserId,
  alias: string | null | undefined,
): Promise<void> {
  await spamChecks?.check('user_may_create_room', () => ({ user_id: creator }))
  if (!alias) return
  const room_alias = newAlias(app, alias)
  await spamChecks?.check('user_may_create_room_alias', () => ({ user_id: creator, room_alias }))
}
