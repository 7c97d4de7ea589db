import { beforeAll, describe, expect, inject, test } from 'vitest'
import { registerAdmin, registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import { createRoom, joinRoom, roomPath, sendState } from '../harness/rooms.ts'

/** Rooms in Synapse's admin API: https://element-hq.github.io/synapse/latest/admin_api/rooms.html */
const { url, sharedSecret } = inject('homeserver')
const v1 = (path: string) => `/_synapse/admin/v1/${path}`
const ofRoom = (roomId: string, rest = '') => v1(`rooms/${encodeURIComponent(roomId)}${rest}`)
const outcome = async (user: TestUser, method: string, path: string, body?: unknown) => {
  const answer = await user.ask(method, path, body)
  return [answer.status, answer.body.errcode]
}

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
    expect(await outcome(admin, 'GET', v1('rooms?search_term='))).toEqual([400, 'M_INVALID_PARAM'])
    expect(await outcome(admin, 'GET', v1('rooms?order_by=height'))).toEqual([400, 'M_INVALID_PARAM'])
    expect(await outcome(alice, 'GET', v1('rooms'))).toEqual([403, 'M_FORBIDDEN'])
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
    expect(await outcome(admin, 'GET', ofRoom('!unknown:example.org'))).toEqual([404, 'M_NOT_FOUND'])
  })
})

describe('a blocked room', () => {
  test('lets nobody in until it is unblocked', async () => {
    const [alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
    const roomId = await createRoom(alice)
    expect(await admin.get(ofRoom(roomId, '/block'))).toEqual({ block: false })
    expect((await admin.ask('PUT', ofRoom(roomId, '/block'), { block: true })).body).toEqual({ block: true })
    expect(await admin.get(ofRoom(roomId, '/block'))).toEqual({ block: true, user_id: admin.userId })
    expect(await outcome(bob, 'POST', roomPath(roomId, 'join'))).toEqual([403, 'M_FORBIDDEN'])
    const invite = { user_id: bob.userId }
    expect(await outcome(alice, 'POST', roomPath(roomId, 'invite'), invite)).toEqual([403, 'M_FORBIDDEN'])
    expect((await admin.ask('PUT', ofRoom(roomId, '/block'), { block: false })).body).toEqual({ block: false })
    await joinRoom(roomId, bob)
  })

  test('need not be known to the server', async () => {
    const roomId = '!unknown:example.org'
    await admin.put(ofRoom(roomId, '/block'), { block: true })
    expect(await admin.get(ofRoom(roomId, '/block'))).toEqual({ block: true, user_id: admin.userId })
    expect(await outcome(admin, 'GET', ofRoom('unknown', '/block'))).toEqual([400, 'M_INVALID_PARAM'])
    expect(await outcome(admin, 'PUT', ofRoom(roomId, '/block'), {})).toEqual([400, 'M_MISSING_PARAM'])
    expect(await outcome(await registerUser(url), 'GET', ofRoom(roomId, '/block'))).toEqual([403, 'M_FORBIDDEN'])
  })
})
