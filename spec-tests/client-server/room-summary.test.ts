import { beforeEach, expect, inject, test } from 'vitest'
import { ask, registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import { createRoom, joinRoom, roomPath, sendState, v1 } from '../harness/rooms.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1room_summaryroomidoralias */
const { url } = inject('homeserver')
let alice: TestUser
let bob: TestUser

beforeEach(async () => {
  ;[alice, bob] = (await Promise.all([registerUser(url), registerUser(url)])) as [TestUser, TestUser]
})

const summaryPath = (room: string) => `${v1}/room_summary/${encodeURIComponent(room)}`
const UNSTABLE = [
  (room: string) => `/_matrix/client/unstable/im.nheko.summary/summary/${encodeURIComponent(room)}`,
  (room: string) => `/_matrix/client/unstable/im.nheko.summary/rooms/${encodeURIComponent(room)}/summary`,
]

test('says what there is to know before joining', async () => {
  const name = uniqueName('summary')
  const roomId = await createRoom(alice, { room_alias_name: name, name: 'Tea', topic: 'hot', room_version: '11' })
  await sendState(alice, roomId, { type: 'm.room.avatar', content: { url: 'mxc://example.org/x' } })
  await sendState(alice, roomId, { type: 'm.room.encryption', content: { algorithm: 'm.megolm.v1.aes-sha2' } })
  const alias = `#${name}:${alice.userId.split(':').slice(1).join(':')}`
  const expected = {
    room_id: roomId,
    name: 'Tea',
    topic: 'hot',
    avatar_url: 'mxc://example.org/x',
    canonical_alias: alias,
    num_joined_members: 1,
    join_rule: 'public',
    room_version: '11',
    encryption: 'm.megolm.v1.aes-sha2',
    world_readable: false,
    guest_can_join: true,
  }
  await sendState(alice, roomId, { type: 'm.room.guest_access', content: { guest_access: 'can_join' } })
  for (const room of [roomId, alias]) {
    expect(await bob.get(summaryPath(room))).toMatchObject(expected)
    for (const path of UNSTABLE) expect(await bob.get(path(room))).toMatchObject({ room_id: roomId, name: 'Tea' })
  }
})

test('says what one is in the room', async () => {
  const roomId = await createRoom(alice)
  const membership = async (user: TestUser) => (await user.get(summaryPath(roomId))).membership
  expect(await membership(alice)).toBe('join')
  expect(await membership(bob)).toBe('leave')
  await alice.post(roomPath(roomId, 'invite'), { user_id: bob.userId })
  expect(await membership(bob)).toBe('invite')
  await joinRoom(roomId, bob)
  await alice.post(roomPath(roomId, 'ban'), { user_id: bob.userId })
  const banned = await bob.ask('GET', summaryPath(roomId))
  expect(banned.body.membership ?? 'ban').toBe('ban')
})

test('needs no account for public rooms, and says nothing of a membership then', async () => {
  const roomId = await createRoom(alice)
  const { status, body } = await ask(url, { method: 'GET', path: summaryPath(roomId) })
  expect([status, body.room_id, body.membership]).toEqual([200, roomId, undefined])
})

test('of private rooms only to who is in them or invited', async () => {
  const roomId = await createRoom(alice, { preset: 'private_chat' })
  for (const user of [bob, undefined]) {
    const token = user && { token: user.accessToken }
    const { status, body } = await ask(url, { method: 'GET', path: summaryPath(roomId), ...token })
    expect([status, body.errcode]).toEqual([404, 'M_NOT_FOUND'])
  }
  await alice.post(roomPath(roomId, 'invite'), { user_id: bob.userId })
  expect((await bob.get(summaryPath(roomId))).room_id).toBe(roomId)
})

test('of knockable and restricted rooms to who may knock or join', async () => {
  const space = await createRoom(alice)
  const knock = await createRoom(alice, { preset: 'private_chat' })
  await sendState(alice, knock, { type: 'm.room.join_rules', content: { join_rule: 'knock' } })
  const restricted = await createRoom(alice, { preset: 'private_chat' })
  const allow = [{ type: 'm.room_membership', room_id: space }]
  await sendState(alice, restricted, { type: 'm.room.join_rules', content: { join_rule: 'restricted', allow } })
  expect((await bob.get(summaryPath(knock))).join_rule).toBe('knock')
  expect((await bob.ask('GET', summaryPath(restricted))).status).toBe(404)
  await joinRoom(space, bob)
  expect(await bob.get(summaryPath(restricted))).toMatchObject({ join_rule: 'restricted', allowed_room_ids: [space] })
})

test('of an unknown room: not found', async () => {
  const server = alice.userId.split(':').slice(1).join(':')
  for (const room of [`#${uniqueName('none')}:${server}`, `!none:${server}`])
    expect((await bob.ask('GET', summaryPath(room))).status).toBe(404)
  expect((await bob.ask('GET', summaryPath('nonsense'))).status).toBe(400)
})
