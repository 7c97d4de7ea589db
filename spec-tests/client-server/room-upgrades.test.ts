import { beforeEach, describe, expect, inject, test } from 'vitest'
import { registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import {
  type ClientEvent,
  createRoom,
  historyOf,
  joinRoom,
  refusal,
  roomPath,
  sendState,
  sendTexts,
  syncedRoom,
  v3,
} from '../harness/rooms.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#room-upgrades */
const { url } = inject('homeserver')
let alice: TestUser
let bob: TestUser

beforeEach(async () => {
  ;[alice, bob] = (await Promise.all([registerUser(url), registerUser(url)])) as [TestUser, TestUser]
})

const upgrade = async (roomId: string, new_version: string, more: object = {}, user = alice): Promise<string> =>
  (await user.post(roomPath(roomId, 'upgrade'), { new_version, ...more })).replacement_room
const stateOf = async (roomId: string, type: string, user = alice) => user.get(roomPath(roomId, `state/${type}/`))

/** State that has to be transferred, by type. */
const CARRIED: Record<string, object> = {
  'm.room.server_acl': { allow: ['*'], deny: ['evil.example'], allow_ip_literals: false },
  'm.room.encryption': { algorithm: 'm.megolm.v1.aes-sha2' },
  'm.room.name': { name: 'Tea' },
  'm.room.avatar': { url: 'mxc://example.org/avatar' },
  'm.room.topic': { topic: 'drinking it' },
  'm.room.guest_access': { guest_access: 'can_join' },
  'm.room.history_visibility': { history_visibility: 'joined' },
  'm.room.join_rules': { join_rule: 'knock' },
}

describe.each([
  ['10', '11'],
  ['11', '12'],
  ['12', '12'],
  ['9', '10'],
])('from version %s to %s', (from, to) => {
  test('carries over what makes the room what it is', async () => {
    const roomId = await createRoom(alice, { room_version: from })
    for (const [type, content] of Object.entries(CARRIED)) await sendState(alice, roomId, { type, content })
    const replacement = await upgrade(roomId, to)
    for (const [type, content] of Object.entries(CARRIED)) {
      const { topic, name, url: avatar, ...rest } = await stateOf(replacement, type)
      expect([
        type,
        { ...(topic && { topic }), ...(name && { name }), ...(avatar && { url: avatar }), ...rest },
      ]).toEqual([type, content])
    }
    const create = await stateOf(replacement, 'm.room.create')
    expect(create).toMatchObject({ room_version: to, predecessor: { room_id: roomId } })
    expect((await stateOf(roomId, 'm.room.tombstone')).replacement_room).toBe(replacement)
  })

  test('leaves nobody but moderators to speak in the old room', async () => {
    const roomId = await createRoom(alice, { room_version: from })
    await joinRoom(roomId, bob)
    await upgrade(roomId, to)
    const message = { msgtype: 'm.text', body: 'x' }
    expect(await refusal(bob, 'PUT', roomPath(roomId, 'send/m.room.message/1'), message)).toEqual([403, 'M_FORBIDDEN'])
    expect(await refusal(bob, 'POST', roomPath(roomId, 'invite'), { user_id: alice.userId })).toEqual([
      403,
      'M_FORBIDDEN',
    ])
    const levels = await stateOf(roomId, 'm.room.power_levels')
    expect([levels.events_default, levels.invite]).toEqual([50, 50])
  })

  test('carries over the powers, without the creators’ where these need none', async () => {
    const roomId = await createRoom(alice, { room_version: from })
    await joinRoom(roomId, bob)
    const levels = await stateOf(roomId, 'm.room.power_levels')
    const users = { ...levels.users, [bob.userId]: 50 }
    const content = { ...levels, users, events: { ...levels.events, 'org.example.x': 7 } }
    await sendState(alice, roomId, { type: 'm.room.power_levels', content })
    const carried = await stateOf(await upgrade(roomId, to), 'm.room.power_levels')
    expect(carried.users[bob.userId]).toBe(50)
    expect(carried.events['org.example.x']).toBe(7)
    expect(carried.users[alice.userId]).toBe(to === '12' ? undefined : 100)
    expect([carried.events_default ?? 0, carried.invite ?? 0]).toEqual([levels.events_default ?? 0, levels.invite ?? 0])
  })
})

test('the tombstone says something to old clients, and the predecessor names an event of the old room', async () => {
  const roomId = await createRoom(alice, { room_version: '11' })
  const replacement = await upgrade(roomId, '11')
  const history = await historyOf(alice, roomId)
  const tombstone = history.find(({ type }) => type === 'm.room.tombstone')!
  expect(typeof tombstone.content.body).toBe('string')
  const { predecessor } = await stateOf(replacement, 'm.room.create')
  expect(predecessor.room_id).toBe(roomId)
  expect(history.map(({ event_id }) => event_id)).toContain(predecessor.event_id)
})

/**
 * https://spec.matrix.org/v1.19/rooms/v12/: the new room's ID is known only with its create event, so the predecessor
 * cannot name an event after it.
 */
test('into version 12 other creators can be named, and only there', async () => {
  const roomId = await createRoom(alice, { room_version: '11' })
  await joinRoom(roomId, bob)
  const levels = await stateOf(roomId, 'm.room.power_levels')
  await sendState(alice, roomId, {
    type: 'm.room.power_levels',
    content: { ...levels, users: { ...levels.users, [bob.userId]: 90 } },
  })
  const replacement = await upgrade(roomId, '12', { additional_creators: [bob.userId] })
  expect((await stateOf(replacement, 'm.room.create')).additional_creators).toEqual([bob.userId])
  expect((await stateOf(replacement, 'm.room.power_levels')).users ?? {}).toEqual({})
  await joinRoom(replacement, bob)
  await sendState(bob, replacement, { type: 'm.room.name', content: { name: 'Bob may' } })

  const wrong = await createRoom(alice, { room_version: '11' })
  const body = { new_version: '12', additional_creators: ['nobody'] }
  expect((await alice.ask('POST', roomPath(wrong, 'upgrade'), body)).status).toBe(400)
  expect((await alice.ask('GET', roomPath(wrong, 'state/m.room.tombstone/'))).status).toBe(404)
})

test('takes aliases and the place in the directory along', async () => {
  const name = uniqueName('alias')
  const roomId = await createRoom(alice, { room_alias_name: name, visibility: 'public', room_version: '11' })
  const alias = `#${name}:${alice.userId.split(':').slice(1).join(':')}`
  const replacement = await upgrade(roomId, '12')
  const directory = await alice.get(`${v3}/directory/room/${encodeURIComponent(alias)}`)
  expect(directory.room_id).toBe(replacement)
  expect((await stateOf(replacement, 'm.room.canonical_alias')).alias).toBe(alias)
  expect((await alice.ask('GET', roomPath(roomId, 'state/m.room.canonical_alias/'))).body.alias).toBeUndefined()
  const visibility = (id: string) => alice.get(`${v3}/directory/list/room/${encodeURIComponent(id)}`)
  expect((await visibility(replacement)).visibility).toBe('public')
  expect((await visibility(roomId)).visibility).toBe('private')
})

test('tags, push rules and direct chats follow whoever joins', async () => {
  const roomId = await createRoom(alice, { room_version: '11' })
  await joinRoom(roomId, bob)
  const tags = (id: string) => `${v3}/user/${bob.userId}/rooms/${encodeURIComponent(id)}/tags`
  const rule = (id: string) => `${v3}/pushrules/global/room/${encodeURIComponent(id)}`
  await bob.put(`${tags(roomId)}/m.favourite`, { order: 0.5 })
  await bob.put(rule(roomId), { actions: [] })
  const replacement = await upgrade(roomId, '12')
  await joinRoom(replacement, bob)
  expect((await bob.get(tags(replacement))).tags).toEqual({ 'm.favourite': { order: 0.5 } })
  expect((await bob.get(rule(replacement))).actions).toEqual([])
})

test('bans are carried over, members are not', async () => {
  const [carol, dave] = (await Promise.all([registerUser(url), registerUser(url)])) as [TestUser, TestUser]
  const roomId = await createRoom(alice, { room_version: '11' })
  await joinRoom(roomId, bob)
  await alice.post(roomPath(roomId, 'ban'), { user_id: carol.userId, reason: 'spam' })
  await alice.post(roomPath(roomId, 'invite'), { user_id: dave.userId })
  const replacement = await upgrade(roomId, '12')
  const { chunk } = await alice.get(roomPath(replacement, 'members'))
  const members = chunk.map(({ state_key, content }: ClientEvent) => [state_key, content.membership])
  expect(members.toSorted()).toEqual(
    [
      [alice.userId, 'join'],
      [carol.userId, 'ban'],
    ].toSorted(),
  )
})

test('a space takes its children along', async () => {
  const child = await createRoom(alice)
  const space = await createRoom(alice, { creation_content: { type: 'm.space' }, room_version: '11' })
  const via = [alice.userId.split(':')[1]]
  await sendState(alice, space, { type: 'm.space.child', key: child, content: { via, suggested: true } })
  const replacement = await upgrade(space, '12')
  expect((await stateOf(replacement, 'm.room.create')).type).toBe('m.space')
  const path = roomPath(replacement, `state/m.space.child/${encodeURIComponent(child)}`)
  expect(await alice.get(path)).toEqual({ via, suggested: true })
})

test.each([
  ['an unknown version', { new_version: '99' }, 400, 'M_UNSUPPORTED_ROOM_VERSION'],
  ['no version', {}, 400, 'M_MISSING_PARAM'],
  ['a number', { new_version: 11 }, 400, 'M_BAD_JSON'],
])('%s: refused, and nothing happens', async (_, body, status, errcode) => {
  const roomId = await createRoom(alice)
  await sendTexts(alice, roomId, ['x'])
  expect(await refusal(alice, 'POST', roomPath(roomId, 'upgrade'), body)).toEqual([status, errcode])
  expect((await alice.ask('GET', roomPath(roomId, 'state/m.room.tombstone/'))).status).toBe(404)
  expect((await syncedRoom(alice, roomId)).timeline.events.at(-1).content.body).toBe('x')
})

test('a user who may not end the room may not upgrade it', async () => {
  const roomId = await createRoom(alice)
  await joinRoom(roomId, bob)
  const before = (await bob.get(`${v3}/joined_rooms`)).joined_rooms
  expect(await refusal(bob, 'POST', roomPath(roomId, 'upgrade'), { new_version: '12' })).toEqual([403, 'M_FORBIDDEN'])
  expect((await bob.get(`${v3}/joined_rooms`)).joined_rooms).toEqual(before)
  const stranger = await registerUser(url)
  const refused = await refusal(stranger, 'POST', roomPath(roomId, 'upgrade'), { new_version: '12' })
  expect(refused).toEqual([403, 'M_FORBIDDEN'])
})
