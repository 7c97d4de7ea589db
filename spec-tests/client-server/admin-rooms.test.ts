import { beforeAll, describe, expect, inject, test } from 'vitest'
import { outcomeOf, registerAdmin, registerUser, sendText, type TestUser, uniqueName } from '../harness/client.ts'
import { createRoom, eventPath, joinRoom, roomPath, sendState } from '../harness/rooms.ts'

/** Rooms in Synapse's admin API: https://element-hq.github.io/synapse/latest/admin_api/rooms.html */
const { url, sharedSecret } = inject('homeserver')
const v1 = (path: string) => `/_synapse/admin/v1/${path}`
const ofRoom = (roomId: string, rest = '') => v1(`rooms/${encodeURIComponent(roomId)}${rest}`)

let admin: TestUser
beforeAll(async () => {
  admin = await registerAdmin(url, sharedSecret)
})

const item = (roomId: string, creator: TestUser) => ({
  ...{ room_id: roomId, name: null, canonical_alias: null, joined_members: 1, joined_local_members: 1 },
  ...{ version: expect.stringMatching(/^\d+$/), creator: creator.userId, encryption: null, federatable: true },
  ...{ public: false, join_rules: 'public', guest_access: null, history_visibility: 'shared' },
  ...{ state_events: expect.any(Number), room_type: null },
})

describe('the list of rooms', () => {
  test('has orders, filters and pages', async () => {
    const alice = await registerUser(url)
    const name = uniqueName('Tea')
    const make = (letter: string, options: object = {}) => createRoom(alice, { name: `${name} ${letter}`, ...options })
    const [a, b, c] = [
      await make('a'),
      await make('b', { visibility: 'public', creation_content: { 'm.federate': false, type: 'm.space' } }),
      await make('c', {
        initial_state: [{ type: 'm.room.encryption', content: { algorithm: 'm.megolm.v1.aes-sha2' } }],
      }),
    ]
    await joinRoom(b, await registerUser(url))
    const list = async (query: string, term = name.toLowerCase()) => {
      const page = await admin.get(v1(`rooms?search_term=${encodeURIComponent(term)}&${query}`))
      return { ...page, rooms: page.rooms.map(({ room_id: id }: { room_id: string }) => id) }
    }
    const all = await admin.get(v1(`rooms?search_term=${encodeURIComponent(name)}`))
    expect(all).toEqual({
      ...{ offset: 0, total_rooms: 3 },
      rooms: [
        { ...item(a, alice), name: `${name} a` },
        {
          ...item(b, alice),
          name: `${name} b`,
          joined_members: 2,
          joined_local_members: 2,
          public: true,
          federatable: false,
          room_type: 'm.space',
        },
        { ...item(c, alice), name: `${name} c`, encryption: 'm.megolm.v1.aes-sha2' },
      ],
    })
    expect(await list('limit=2')).toEqual({ offset: 0, total_rooms: 3, rooms: [a, b], next_batch: 2 })
    expect(await list('limit=2&from=2')).toEqual({ offset: 2, total_rooms: 3, rooms: [c], prev_batch: 0 })
    expect(await list('limit=0')).toEqual({ offset: 0, total_rooms: 3, rooms: [], next_batch: 0 })
    expect((await list('dir=b&order_by=name')).rooms).toEqual([c, b, a])
    expect((await list('order_by=joined_members')).rooms[0]).toBe(b)
    expect((await list('order_by=size&dir=b')).rooms[2]).toBe(b)
    expect((await list('order_by=encryption')).rooms[0]).toBe(c)
    expect((await list('order_by=federatable')).rooms[0]).toBe(b)
    const orders = ['alphabetical', 'canonical_alias', 'joined_local_members', 'version', 'creator', 'public']
    for (const order of [...orders, 'join_rules', 'guest_access', 'history_visibility', 'state_events'])
      expect((await list(`order_by=${order}`)).rooms).toHaveLength(3)
    expect((await list('public_rooms=true')).rooms).toEqual([b])
    expect((await list('public_rooms=false')).rooms).toEqual([a, c])
    expect((await list('empty_rooms=true')).total_rooms).toBe(0)
    await alice.post(roomPath(a, 'leave'))
    expect((await list('empty_rooms=true')).rooms).toEqual([a])
    expect((await list('empty_rooms=false')).rooms).toEqual([b, c])
    expect((await list('', b)).rooms).toEqual([b])
    expect(await outcomeOf(admin, 'GET', v1('rooms?search_term='))).toEqual([400, 'M_INVALID_PARAM'])
    expect(await outcomeOf(admin, 'GET', v1('rooms?order_by=height'))).toEqual([400, 'M_INVALID_PARAM'])
    expect(await outcomeOf(alice, 'GET', v1('rooms'))).toEqual([403, 'M_FORBIDDEN'])
  })

  test('has pages beyond its middle', async () => {
    const { total_rooms: total } = await admin.get(v1('rooms?limit=0'))
    const { rooms } = await admin.get(v1('rooms?order_by=creator'))
    const from = Math.min(total, rooms.length) - 2
    expect((await admin.get(v1(`rooms?order_by=creator&from=${from}&limit=2`))).rooms).toEqual(rooms.slice(from))
    const beyond = await admin.get(v1(`rooms?from=${total + 5}`))
    expect(beyond).toMatchObject({ rooms: [], total_rooms: total, prev_batch: Math.max(0, total - 95) })
  })
})

describe('a room', () => {
  test('is shown with its details', async () => {
    const [alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
    const roomId = await createRoom(alice, { topic: 'Leaves' })
    await sendState(alice, roomId, { type: 'm.room.avatar', content: { url: 'mxc://example.org/a' } })
    await joinRoom(roomId, bob)
    const before = await admin.get(ofRoom(roomId))
    expect(before).toEqual({
      ...item(roomId, alice),
      ...{ joined_members: 2, joined_local_members: 2, joined_local_devices: 2, topic: 'Leaves' },
      ...{ avatar: 'mxc://example.org/a', forgotten: false, tombstoned: false, replacement_room: null },
    })
    expect(before.state_events).toBe((await alice.get(roomPath(roomId, 'state'))).length)
    await sendState(alice, roomId, { type: 'm.room.tombstone', content: { body: 'moved', replacement_room: '!new:x' } })
    for (const user of [alice, bob]) {
      await user.post(roomPath(roomId, 'leave'))
      await user.post(roomPath(roomId, 'forget'))
    }
    expect(await admin.get(ofRoom(roomId))).toMatchObject({
      ...{ joined_members: 0, joined_local_members: 0, joined_local_devices: 0, forgotten: true },
      ...{ tombstoned: true, replacement_room: '!new:x', state_events: before.state_events + 1 },
    })
    expect(await outcomeOf(admin, 'GET', ofRoom('!unknown:example.org'))).toEqual([404, 'M_NOT_FOUND'])
  })
})

describe('the content of a private room', () => {
  test('is readable for administrators who are not in it', async () => {
    const [alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
    const roomId = await createRoom(alice, { preset: 'private_chat', name: 'Secret' })
    const [first, second, last] = [
      await sendText(alice, roomId, 'one'),
      await sendText(alice, roomId, 'two'),
      await sendText(alice, roomId, 'three'),
    ]
    expect(await outcomeOf(admin, 'GET', roomPath(roomId, 'messages?dir=b'))).toEqual([403, 'M_FORBIDDEN'])
    expect(await admin.get(ofRoom(roomId, '/members'))).toEqual({ members: [alice.userId], total: 1 })
    const state = await alice.get(roomPath(roomId, 'state'))
    const types = (events: { type: string }[]) => events.map(({ type }) => type).sort()
    expect(types((await admin.get(ofRoom(roomId, '/state'))).state)).toEqual(types(state))
    const named = await admin.get(ofRoom(roomId, '/state?type=m.room.name'))
    expect(named).toEqual({ state: [expect.objectContaining({ content: { name: 'Secret' }, room_id: roomId })] })
    expect(types((await admin.get(ofRoom(roomId, '/state?type=m.room.member'))).state)).toEqual(['m.room.member'])
    const page = await admin.get(ofRoom(roomId, '/messages?dir=b&limit=2'))
    const bodies = (events: { content: { body: string } }[]) => events.map(({ content }) => content.body)
    expect(bodies(page.chunk)).toEqual(['three', 'two'])
    const filter = encodeURIComponent('{"types":["m.room.message"]}')
    const next = await admin.get(ofRoom(roomId, `/messages?dir=b&from=${page.end}&filter=${filter}`))
    expect(bodies(next.chunk)).toEqual(['one'])
    const around = await admin.get(ofRoom(roomId, `/${eventPath('context', second)}?limit=2`))
    expect(around).toMatchObject({
      event: { event_id: second },
      ...{ events_before: [{ event_id: first }], events_after: [{ event_id: last }] },
    })
    expect(around.state).toHaveLength(state.length)
    const found = await admin.get(ofRoom(roomId, '/timestamp_to_event?ts=0&dir=f'))
    expect(found).toEqual({ event_id: expect.any(String), origin_server_ts: expect.any(Number) })
    const { event } = await admin.get(v1(eventPath('fetch_event', second)))
    expect(event).toMatchObject({ event_id: second, content: { body: 'two' }, auth_events: expect.any(Array) })
    for (const path of ['/members', '/state', '/messages', '/hierarchy', '/timestamp_to_event?ts=1', '/context/$x'])
      expect(await outcomeOf(admin, 'GET', ofRoom('!unknown:example.org', path))).toEqual([404, 'M_NOT_FOUND'])
    expect(await outcomeOf(admin, 'GET', v1('fetch_event/$unknown'))).toEqual([404, 'M_NOT_FOUND'])
    for (const path of ['/members', '/state', '/messages', '/hierarchy', `/context/${second}`])
      expect(await outcomeOf(bob, 'GET', ofRoom(roomId, path))).toEqual([403, 'M_FORBIDDEN'])
    expect(await outcomeOf(bob, 'GET', v1(eventPath('fetch_event', second)))).toEqual([403, 'M_FORBIDDEN'])
  })

  test('and so is a space', async () => {
    const alice = await registerUser(url)
    const space = await createRoom(alice, { preset: 'private_chat', creation_content: { type: 'm.space' } })
    const child = await createRoom(alice, { preset: 'private_chat', name: 'Child' })
    for (const room of [child, '!elsewhere:example.org'])
      await sendState(alice, space, { type: 'm.space.child', key: room, content: { via: ['example.org'] } })
    const { rooms } = await admin.get(ofRoom(space, '/hierarchy'))
    expect(rooms.map(({ room_id: id }: { room_id: string }) => id)).toEqual([space, child])
    const first = await admin.get(ofRoom(space, '/hierarchy?limit=1'))
    const second = await admin.get(ofRoom(space, `/hierarchy?limit=1&from=${encodeURIComponent(first.next_batch)}`))
    expect(second.rooms).toEqual([expect.objectContaining({ room_id: child, name: 'Child' })])
    expect((await admin.get(ofRoom(space, '/hierarchy?max_depth=0'))).rooms).toHaveLength(1)
  })
})

describe('an administrator', () => {
  const membership = async (user: TestUser, roomId: string, of = user) =>
    (await user.ask('GET', roomPath(roomId, `state/m.room.member/${encodeURIComponent(of.userId)}`))).body.membership

  test('lets users join rooms', async () => {
    const [alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
    const alias = uniqueName('join')
    const open = await createRoom(alice, { room_alias_name: alias })
    const server = alice.userId.split(':').slice(1).join(':')
    const join = (room: string) => v1(`join/${encodeURIComponent(room)}`)
    expect(await admin.post(join(`#${alias}:${server}`), { user_id: bob.userId })).toEqual({ room_id: open })
    expect(await membership(bob, open)).toBe('join')
    const closed = await createRoom(alice, { preset: 'private_chat' })
    expect(await outcomeOf(admin, 'POST', join(closed), { user_id: bob.userId })).toEqual([403, 'M_FORBIDDEN'])
    await alice.post(roomPath(closed, 'invite'), { user_id: admin.userId })
    await joinRoom(closed, admin)
    for (let time = 0; time < 2; time++)
      expect(await admin.post(join(closed), { user_id: bob.userId })).toEqual({ room_id: closed })
    expect(await membership(bob, closed)).toBe('join')
    const wrong = [{ user_id: '@x:example.org' }, 400] as const
    expect((await admin.ask('POST', join(open), wrong[0])).status).toBe(wrong[1])
    const nobody = { user_id: `@nobody-${alias}:${server}` }
    expect(await outcomeOf(admin, 'POST', join(open), nobody)).toEqual([404, 'M_NOT_FOUND'])
  })

  test.each(['10', '12'])('gives power in rooms of version %s, and invites', async (version) => {
    const [alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
    const roomId = await createRoom(alice, { preset: 'private_chat', room_version: version })
    await admin.post(ofRoom(roomId, '/make_room_admin'), { user_id: bob.userId })
    const levels = await alice.get(roomPath(roomId, 'state/m.room.power_levels'))
    expect(levels.users[bob.userId]).toBe(100)
    expect(await membership(alice, roomId, bob)).toBe('invite')
    await joinRoom(roomId, bob)
    await sendState(bob, roomId, { type: 'm.room.name', content: { name: "Bob's" } })
    await admin.post(ofRoom(roomId, '/make_room_admin'))
    expect(await membership(alice, roomId, admin)).toBe('invite')
    await alice.post(roomPath(roomId, 'leave'))
    await bob.post(roomPath(roomId, 'leave'))
    const again = await admin.ask('POST', ofRoom(roomId, '/make_room_admin'), {})
    expect([again.status, again.body.errcode]).toEqual([400, 'M_INVALID_PARAM'])
    expect(await outcomeOf(admin, 'POST', ofRoom('!x:example.org', '/make_room_admin'))).toEqual([404, 'M_NOT_FOUND'])
  })

  test('sees the ends of a timeline', async () => {
    const alice = await registerUser(url)
    const roomId = await createRoom(alice)
    const last = await sendText(alice, roomId, 'last')
    const end = { event_id: last, state_group: expect.any(Number), depth: expect.any(Number) }
    const path = ofRoom(roomId, '/forward_extremities')
    const results = [{ ...end, received_ts: expect.any(Number) }]
    expect(await admin.get(path)).toEqual({ count: 1, results })
    expect((await admin.ask('DELETE', path)).body).toEqual({ deleted: 0 })
    expect(await outcomeOf(alice, 'GET', path)).toEqual([403, 'M_FORBIDDEN'])
  })
})

describe('a blocked room', () => {
  test('lets nobody in until it is unblocked', async () => {
    const [alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
    const roomId = await createRoom(alice)
    expect(await admin.get(ofRoom(roomId, '/block'))).toEqual({ block: false })
    expect((await admin.ask('PUT', ofRoom(roomId, '/block'), { block: true })).body).toEqual({ block: true })
    expect(await admin.get(ofRoom(roomId, '/block'))).toEqual({ block: true, user_id: admin.userId })
    expect(await outcomeOf(bob, 'POST', roomPath(roomId, 'join'))).toEqual([403, 'M_FORBIDDEN'])
    const invite = { user_id: bob.userId }
    expect(await outcomeOf(alice, 'POST', roomPath(roomId, 'invite'), invite)).toEqual([403, 'M_FORBIDDEN'])
    expect((await admin.ask('PUT', ofRoom(roomId, '/block'), { block: false })).body).toEqual({ block: false })
    await joinRoom(roomId, bob)
  })

  test('need not be known to the server', async () => {
    const roomId = '!unknown:example.org'
    await admin.put(ofRoom(roomId, '/block'), { block: true })
    expect(await admin.get(ofRoom(roomId, '/block'))).toEqual({ block: true, user_id: admin.userId })
    expect(await outcomeOf(admin, 'GET', ofRoom('unknown', '/block'))).toEqual([400, 'M_INVALID_PARAM'])
    expect(await outcomeOf(admin, 'PUT', ofRoom(roomId, '/block'), {})).toEqual([400, 'M_MISSING_PARAM'])
    expect(await outcomeOf(await registerUser(url), 'GET', ofRoom(roomId, '/block'))).toEqual([403, 'M_FORBIDDEN'])
  })
})
