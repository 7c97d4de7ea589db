import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { registerUser, sendText, type TestUser, uniqueName } from '../harness/client.ts'
import { createRoom, eventPath, refusal, roomPath, sendState, v3 } from '../harness/rooms.ts'
import {
  agreeOnState,
  isOut,
  joinVia,
  moveVia,
  type SideName,
  type SynapsePair,
  seesEvent,
  seesInvite,
  seesMember,
  serverOf,
  startPair,
  WAYS,
} from '../harness/synapse-pair.ts'

const VERSIONS = ['1', '6', '10', '11', '12']
/** Versions with knocks and restricted joins. */
const NEWER = ['10', '11', '12']
const PATIENCE_MS = 120_000

let pair: SynapsePair
beforeAll(async () => {
  // An IP address as name distinguishes the two where patterns match server names.
  pair = await startPair({ hearthHost: '127.0.0.1' })
})
afterAll(() => pair?.dispose())

describe.each(WAYS)('into rooms of %s from %s', (here, there) => {
  let owner: TestUser
  let insider: TestUser
  beforeAll(async () => {
    ;[owner, insider] = await Promise.all([newUser(here), newUser(here)])
  })

  /** https://spec.matrix.org/v1.19/server-server-api/#joining-rooms */
  test.each(VERSIONS)(
    'version %s, join rule public: whoever wants to joins, leaves and comes back, even where the creator has left',
    async (version) => {
      const [guest, other] = await Promise.all([newUser(there), newUser(there)])
      const alias = uniqueName('open')
      const roomId = await createRoom(owner, { room_version: version, room_alias_name: alias })
      await joinVia(guest, roomId, owner)
      await joinVia(other, `#${alias}:${serverOf(owner)}`)
      await seesMember(owner, roomId, { of: other, membership: 'join' })
      await guest.post(roomPath(roomId, 'leave'), { reason: 'Later' })
      expect(await seesMember(owner, roomId, { of: guest, membership: 'leave' })).toMatchObject({ reason: 'Later' })
      await owner.post(roomPath(roomId, 'leave'))
      await seesMember(other, roomId, { of: owner, membership: 'leave' })
      await joinVia(guest, roomId, other)
      await joinVia(insider, roomId, other)
      await seesMember(other, roomId, { of: insider, membership: 'join' })
      await seesEvent(guest, roomId, await sendText(insider, roomId, 'we go on'))
      await agreeOnState(roomId, insider, guest)
    },
    PATIENCE_MS,
  )

  /** https://spec.matrix.org/v1.19/server-server-api/#inviting-to-a-room */
  test.each(VERSIONS)(
    'version %s, join rule invite: invites are rejected, withdrawn and accepted; nobody else comes in',
    async (version) => {
      const [guest, other] = await Promise.all([newUser(there), newUser(there)])
      const roomId = await createRoom(owner, { room_version: version, preset: 'private_chat', name: 'Club' })
      expect(await refusal(guest, 'POST', moveVia('join', roomId, owner))).toEqual([403, 'M_FORBIDDEN'])
      await invite(roomId, owner, guest)
      await guest.post(roomPath(roomId, 'leave'), { reason: 'No' })
      expect(await seesMember(owner, roomId, { of: guest, membership: 'leave' })).toMatchObject({ reason: 'No' })
      await isOut(guest, roomId)
      await invite(roomId, owner, guest)
      await owner.post(roomPath(roomId, 'kick'), { user_id: guest.userId, reason: 'A mistake' })
      await isOut(guest, roomId)
      expect(await refusal(guest, 'POST', moveVia('join', roomId, owner))).toEqual([403, 'M_FORBIDDEN'])
      await invite(roomId, owner, guest)
      await joinVia(guest, roomId)
      await seesMember(owner, roomId, { of: guest, membership: 'join' })
      // Now the other server is in the room too, and asks no other.
      expect(await refusal(other, 'POST', moveVia('join', roomId, owner))).toEqual([403, 'M_FORBIDDEN'])
      await invite(roomId, owner, other)
      await joinVia(other, roomId, owner)
      await seesMember(owner, roomId, { of: other, membership: 'join' })
      await agreeOnState(roomId, owner, guest)
    },
    PATIENCE_MS,
  )

  /** A join rule without meaning yet: https://spec.matrix.org/v1.19/client-server-api/#mroomjoin_rules */
  test.each(VERSIONS)(
    'version %s, join rule private: nobody joins, invited or not',
    async (version) => {
      const guest = await newUser(there)
      const roomId = await createRoom(owner, { room_version: version, preset: 'private_chat' })
      await setJoinRule(roomId, owner, 'private')
      await invite(roomId, owner, guest)
      expect(await refusal(guest, 'POST', moveVia('join', roomId, owner))).toEqual([403, 'M_FORBIDDEN'])
      expect(await seesMember(owner, roomId, { of: guest, membership: 'invite' })).toBeTruthy()
    },
    PATIENCE_MS,
  )

  /** https://spec.matrix.org/v1.19/server-server-api/#knocking-rooms */
  test.each(NEWER)(
    'version %s, join rule knock: knocks are taken back, turned away and accepted',
    async (version) => {
      const guest = await newUser(there)
      const roomId = await createRoom(owner, { room_version: version, preset: 'private_chat', name: 'Door' })
      const knock = () => guest.post(moveVia('knock', roomId, owner), { reason: 'May I?' })
      expect(await refusal(guest, 'POST', moveVia('knock', roomId, owner))).toEqual([403, 'M_FORBIDDEN'])
      await setJoinRule(roomId, owner, 'knock')
      expect(await refusal(guest, 'POST', moveVia('join', roomId, owner))).toEqual([403, 'M_FORBIDDEN'])
      for (const end of ['taken back', 'turned away', 'accepted']) {
        expect(await knock()).toEqual({ room_id: roomId })
        expect(await seesMember(owner, roomId, { of: guest, membership: 'knock' })).toMatchObject({ reason: 'May I?' })
        if (end === 'taken back') await guest.post(roomPath(roomId, 'leave'))
        else if (end === 'turned away') await owner.post(roomPath(roomId, 'kick'), { user_id: guest.userId })
        else break
        // Synapse does not send rescinded or rejected knocks of its users to other servers.
        const sees = {
          guest: end === 'taken back' || here !== 'Synapse',
          owner: end !== 'taken back' || there !== 'Synapse',
        }
        if (sees.guest) await isOut(guest, roomId)
        if (sees.owner) await seesMember(owner, roomId, { of: guest, membership: 'leave' })
      }
      const { knock: knocks } = (await guest.get(`${v3}/sync`)).rooms
      const name = { type: 'm.room.name', content: { name: 'Door' } }
      expect(knocks[roomId].knock_state.events).toContainEqual(expect.objectContaining(name))
      await invite(roomId, owner, guest)
      await joinVia(guest, roomId)
      await seesMember(owner, roomId, { of: guest, membership: 'join' })
      await agreeOnState(roomId, owner, guest)
    },
    PATIENCE_MS,
  )

  /** https://spec.matrix.org/v1.19/server-server-api/#restricted-rooms */
  test.each(NEWER.flatMap((version) => ['restricted', 'knock_restricted'].map((rule) => [version, rule] as const)))(
    'version %s, join rule %s: members of the space join by themselves',
    async (version, rule) => {
      const [guest, other] = await Promise.all([newUser(there), newUser(there)])
      const space = await createRoom(owner, { creation_content: { type: 'm.space' } })
      const roomId = await createRoom(owner, { room_version: version, preset: 'private_chat' })
      await setJoinRule(roomId, owner, rule, [{ type: 'm.room_membership', room_id: space }])
      // Only the owner may invite, so that the owner authorises the join, regardless of other members.
      const levels = await owner.get(roomPath(roomId, 'state/m.room.power_levels'))
      await sendState(owner, roomId, { type: 'm.room.power_levels', content: { ...levels, invite: 50 } })
      for (const user of [guest, other]) {
        expect(await refusal(user, 'POST', moveVia('join', roomId, owner))).toEqual([403, 'M_FORBIDDEN'])
        await joinVia(user, space, owner)
        await seesMember(owner, space, { of: user, membership: 'join' })
        await joinVia(user, roomId, owner)
        const vouched = { join_authorised_via_users_server: owner.userId }
        expect(await seesMember(owner, roomId, { of: user, membership: 'join' })).toMatchObject(vouched)
      }
      if (rule === 'knock_restricted') await knockAndComeIn(roomId, await newUser(there))
      await agreeOnState(roomId, owner, guest)
    },
    PATIENCE_MS,
  )

  async function knockAndComeIn(roomId: string, guest: TestUser): Promise<void> {
    await guest.post(moveVia('knock', roomId, owner))
    await seesMember(owner, roomId, { of: guest, membership: 'knock' })
    await invite(roomId, owner, guest)
    await joinVia(guest, roomId, owner)
    await seesMember(owner, roomId, { of: guest, membership: 'join' })
  }

  test('a banned user cannot join, knock or be invited until the ban is lifted', async () => {
    const guest = await newUser(there)
    const roomId = await createRoom(owner)
    await owner.post(roomPath(roomId, 'ban'), { user_id: guest.userId })
    expect(await refusal(guest, 'POST', moveVia('join', roomId, owner))).toEqual([403, 'M_FORBIDDEN'])
    expect((await refusal(owner, 'POST', roomPath(roomId, 'invite'), { user_id: guest.userId }))[0]).toBe(403)
    await setJoinRule(roomId, owner, 'knock')
    expect(await refusal(guest, 'POST', moveVia('knock', roomId, owner))).toEqual([403, 'M_FORBIDDEN'])
    await owner.post(roomPath(roomId, 'unban'), { user_id: guest.userId })
    await setJoinRule(roomId, owner, 'public')
    await joinVia(guest, roomId, owner)
    await seesMember(owner, roomId, { of: guest, membership: 'join' })
    await agreeOnState(roomId, owner, guest)
  })

  /** https://spec.matrix.org/v1.19/server-server-api/#server-access-control-lists-acls */
  test('a server that a room shuts out is not heard in it and nobody of it joins, until it is let in again', async () => {
    const [guest, other] = await Promise.all([newUser(there), newUser(there)])
    const [roomId, unjoined, elsewhere] = [await createRoom(owner), await createRoom(owner), await createRoom(owner)]
    for (const id of [roomId, elsewhere]) {
      await joinVia(guest, id, owner)
      await seesMember(owner, id, { of: guest, membership: 'join' })
    }
    const setAcl = async (room: string, deny: string[]) => {
      const content = { allow: ['*'], deny, allow_ip_literals: true }
      return sendState(owner, room, { type: 'm.room.server_acl', content })
    }
    const pattern = serverOf(guest).replace(/:\d+$/, '*')
    await setAcl(unjoined, [pattern])
    await seesEvent(guest, roomId, await setAcl(roomId, [pattern]))
    expect(await refusal(guest, 'POST', moveVia('join', unjoined, owner))).toEqual([403, 'M_FORBIDDEN'])
    const unheard = await sendText(guest, roomId, 'does anybody hear me?')
    // A later event elsewhere has arrived: so this one has been rejected.
    await seesEvent(owner, elsewhere, await sendText(guest, elsewhere, 'I am shut out'))
    expect((await owner.ask('GET', roomPath(roomId, eventPath('event', unheard)))).status).toBe(404)
    await setAcl(unjoined, [])
    await seesEvent(guest, roomId, await setAcl(roomId, []))
    await seesEvent(owner, roomId, await sendText(guest, roomId, 'and now?'))
    for (const id of [roomId, unjoined]) {
      await joinVia(other, id, owner)
      await seesMember(owner, id, { of: other, membership: 'join' })
      await agreeOnState(id, owner, other)
    }
  })
})

function newUser(side: SideName): Promise<TestUser> {
  return registerUser(pair[side].url)
}

async function invite(roomId: string, owner: TestUser, guest: TestUser): Promise<void> {
  await owner.post(roomPath(roomId, 'invite'), { user_id: guest.userId })
  await seesInvite(guest, roomId)
}

function setJoinRule(roomId: string, owner: TestUser, join_rule: string, allow?: object[]): Promise<string> {
  const content = { join_rule, ...(allow && { allow }) }
  return sendState(owner, roomId, { type: 'm.room.join_rules', content })
}
