import { afterAll, beforeAll, expect, test } from 'vitest'
import { markDeactivated } from '../../../storage/users/users.ts'
import { startClientApi, type TestClient } from '../../../testing/client-api.ts'
import { leaveAllRooms } from '../../membership/leave-all-rooms.ts'
import { setProfileField } from '../../users/profile.ts'
import { updateMemberProfiles } from './member-profiles.ts'

let api: Awaited<ReturnType<typeof startClientApi>>
let alice: TestClient
beforeAll(async () => {
  api = await startClientApi()
  alice = await api.client('alice')
})
afterAll(() => api.close())

const member = async (roomId: string, user: TestClient) =>
  (await api.state(roomId as never))[`m.room.member|${user.userId}`]

async function rename(user: TestClient, displayname: string | undefined): Promise<void> {
  const { userId } = user
  await setProfileField(api.app, { userId, field: 'displayname', value: displayname })
  await updateMemberProfiles(api.app, userId)
}

test('a new name reaches every room that the user has joined, and no other', async () => {
  const bob = await api.client('bob')
  const joined = await Promise.all(Array.from({ length: 20 }, () => alice.createRoom({ preset: 'public_chat' })))
  for (const roomId of joined) await bob.ok('POST', `/rooms/${roomId}/join`, { reason: 'hello', 'org.example': 1 })
  const left = await alice.createRoom({ preset: 'public_chat' })
  await bob.ok('POST', `/rooms/${left}/join`, {})
  await bob.ok('POST', `/rooms/${left}/leave`, {})
  const invited = await alice.createRoom({ invite: [bob.userId] })
  await rename(bob, 'Bobby')
  for (const roomId of joined) {
    expect(await member(roomId, bob)).toEqual({ membership: 'join', displayname: 'Bobby', 'org.example': 1 })
  }
  expect(await member(left, bob)).toEqual({ membership: 'leave' })
  expect(await member(invited, bob)).toEqual({ membership: 'invite' })
  const before = await api.counts()
  await updateMemberProfiles(api.app, bob.userId)
  expect(await api.counts()).toEqual(before)
  await rename(bob, undefined)
  expect(await member(joined[0]!, bob)).toEqual({ membership: 'join', 'org.example': 1 })
})

test('of two changes at once the later one stays', async () => {
  const eve = await api.client('eve')
  const roomId = await eve.createRoom()
  await Promise.all([rename(eve, 'First'), rename(eve, 'Second')])
  const row = await api.app.database.sql
    .selectFrom('profiles')
    .selectAll()
    .where('user_id', '=', eve.userId)
    .executeTakeFirst()
  expect(await member(roomId, eve)).toEqual({ membership: 'join', displayname: row?.displayname })
})

test('a joiner let in by another may change the name without them', async () => {
  const lobby = await alice.createRoom({ preset: 'public_chat' })
  const allow = [{ type: 'm.room_membership', room_id: lobby }]
  const initial_state = [{ type: 'm.room.join_rules', content: { join_rule: 'restricted', allow } }]
  const roomId = await alice.createRoom({ preset: 'public_chat', initial_state })
  const carol = await api.client('carol')
  for (const room of [lobby, roomId]) await carol.ok('POST', `/rooms/${room}/join`, {})
  expect(await member(roomId, carol)).toHaveProperty('join_authorised_via_users_server')
  await rename(carol, 'Carol')
  expect(await member(roomId, carol)).toEqual({ membership: 'join', displayname: 'Carol' })
})

test('a deactivated user leaves rooms, rejects invites and retracts knocks; bans stay', async () => {
  const dora = await api.client('dora')
  const own = await dora.createRoom()
  const invited = await alice.createRoom({ invite: [dora.userId] })
  const banned = await alice.createRoom()
  await alice.ok('POST', `/rooms/${banned}/ban`, { user_id: dora.userId })
  const knocked = await alice.createRoom({
    initial_state: [{ type: 'm.room.join_rules', content: { join_rule: 'knock' } }],
  })
  await dora.ok('POST', `/knock/${encodeURIComponent(knocked)}`, {})
  // The job of a deactivation that an administrator has undone leaves nothing.
  await leaveAllRooms(api.app, dora.userId)
  expect(await member(own, dora)).toEqual({ membership: 'join' })
  const now = api.app.clock.now()
  await api.app.database.write((tx) => markDeactivated(tx, { userId: dora.userId, erase: false, now }))
  await leaveAllRooms(api.app, dora.userId)
  for (const roomId of [own, invited, knocked]) expect(await member(roomId, dora)).toEqual({ membership: 'leave' })
  expect(await member(banned, dora)).toEqual({ membership: 'ban' })
})
