import { z } from 'zod'
import type { App } from '../../app.ts'
import { ForbiddenError } from '../../core/errors.ts'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { powerLevels } from '../../core/rooms/power-levels.ts'
import { headOf, type LockedRoom, readLockedState } from '../../storage/rooms/timeline/locked-room.ts'
import { loadProfile } from '../../storage/users/profiles.ts'
import { findThirdParty, type ThirdParty, unusable } from '../lookup/find-third-party.ts'
import { requireJoined } from '../rooms/access/room-member.ts'
import { appendEvent } from '../rooms/timeline/append-event.ts'
import { requireNoEntry } from '../rooms/timeline/blocked-room.ts'
import { runInRoom } from '../rooms/timeline/run-in-room.ts'
import { inviteUser } from './invite-user.ts'

export type ThirdPartyInvite = ThirdParty & { roomId: RoomId; sender: UserId; content: JsonObject }

const storedInvite = z.object({
  token: z.string().min(1).max(255),
  display_name: z.string(),
  public_keys: z.array(z.object({ public_key: z.string(), key_validity_url: z.string() })).min(1),
})

/**
 * Invites the owner of an address: the user to whom it is bound, or else the user who binds it later, for whom the
 * identity server stores the invite. Throws M_FORBIDDEN, and refusals of the identity server or the user's server.
 * https://spec.matrix.org/v1.19/client-server-api/#third-party-invites
 */
export async function inviteThirdParty(app: App, invite: ThirdPartyInvite): Promise<void> {
  const { roomId, sender, content } = invite
  const room = await runInRoom(app, roomId, (locked) => describeRoom(locked, sender))
  const { medium, address } = invite
  await app.spamChecks?.check('user_may_send_3pid_invite', () => ({
    inviter: sender,
    medium,
    address,
    room_id: roomId,
  }))
  const target = await findThirdParty(app, invite)
  if (target !== undefined) return inviteUser(app, { roomId, sender, target, content })
  const stored = await storeAtIdentityServer(app, invite, room)
  const [first] = stored.public_keys
  await runInRoom(app, roomId, (locked) =>
    appendEvent(app, locked, {
      type: 'm.room.third_party_invite',
      state_key: stored.token,
      sender,
      content: { display_name: stored.display_name, ...first, public_keys: stored.public_keys },
    }),
  )
}

async function storeAtIdentityServer(
  app: App,
  { roomId, sender, idServer: server, idAccessToken: accessToken, medium, address }: ThirdPartyInvite,
  room: JsonObject,
): Promise<z.output<typeof storedInvite>> {
  const { displayname, avatar_url } = await loadProfile(app.database, sender)
  const body = {
    medium,
    address,
    room_id: roomId,
    sender,
    ...(typeof displayname === 'string' && { sender_display_name: displayname }),
    ...(typeof avatar_url === 'string' && { sender_avatar_url: avatar_url }),
    ...room,
  }
  const path = '/_matrix/identity/v2/store-invite'
  const parsed = storedInvite.safeParse(await app.identity.request({ server, accessToken, method: 'POST', path, body }))
  if (!parsed.success) throw unusable(server)
  return parsed.data
}

/** State that the mail may show, with its names in the identity server's API. */
const DESCRIBING = [
  ['m.room.canonical_alias', 'alias', 'room_alias'],
  ['m.room.avatar', 'url', 'room_avatar_url'],
  ['m.room.join_rules', 'join_rule', 'room_join_rules'],
  ['m.room.name', 'name', 'room_name'],
  ['m.room.create', 'type', 'room_type'],
] as const

/** Throws M_FORBIDDEN unless the sender may invite, before any mail is sent. */
async function describeRoom(room: LockedRoom, sender: UserId): Promise<JsonObject> {
  await requireJoined(room, sender)
  requireNoEntry(room, { type: 'm.room.third_party_invite', content: {} }, undefined)
  const types = [...DESCRIBING.map(([type]) => type), 'm.room.power_levels']
  const events = await readLockedState(
    room,
    types.map((type) => ({ type, state_key: '' })),
  )
  const state = new Map(types.map((type, place) => [type as string, events[place]]))
  const levels = powerLevels(headOf(room).version, state.get('m.room.create')!, state.get('m.room.power_levels'))
  if (levels.of(sender) < levels.invite) throw new ForbiddenError('You do not have the power to invite')
  return Object.fromEntries(
    DESCRIBING.flatMap(([type, key, name]) => {
      const value = state.get(type)?.pdu.content[key]
      return typeof value === 'string' ? [[name, value]] : []
    }),
  )
}
