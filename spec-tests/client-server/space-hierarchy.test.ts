import { beforeEach, describe, expect, inject, test } from 'vitest'
import { registerUser, type TestUser } from '../harness/client.ts'
import { type ClientEvent, createRoom, joinRoom, refusal, roomPath, sendState, v1 } from '../harness/rooms.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#spaces */
const { url } = inject('homeserver')
let alice: TestUser
let bob: TestUser
let via: string[]

beforeEach(async () => {
  ;[alice, bob] = (await Promise.all([registerUser(url), registerUser(url)])) as [TestUser, TestUser]
  via = [alice.userId.split(':').slice(1).join(':')]
})

const createSpace = (options: object = {}) => createRoom(alice, { ...options, creation_content: { type: 'm.space' } })
const addChild = (space: string, child: string, content: object = {}) =>
  sendState(alice, space, { type: 'm.space.child', key: child, content: { via, ...content } })
const hierarchy = (space: string, query = '', user = alice) =>
  user.get(roomPath(space, `hierarchy${query}`, v1)) as Promise<{ rooms: ClientEvent[]; next_batch?: string }>
const idsOf = ({ rooms }: { rooms: readonly ClientEvent[] }) => rooms.map(({ room_id }) => room_id)
const restricted = (join_rule: string, room_id: string) => ({
  type: 'm.room.join_rules',
  state_key: '',
  content: { join_rule, allow: [{ type: 'm.room_membership', room_id }] },
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidhierarchy */
describe('the hierarchy', () => {
  test('has each room once, depth first, with the children of spaces', async () => {
    const [top, sub, room, deep] = [
      await createSpace({ name: 'Top' }),
      await createSpace(),
      await createRoom(alice),
      await createRoom(alice),
    ]
    await addChild(top, sub, { order: 'a' })
    await addChild(top, room, { order: 'b', suggested: true })
    await addChild(sub, deep)
    await addChild(sub, room)
    await addChild(sub, top)
    const found = await hierarchy(top)
    expect(idsOf(found)).toEqual([top, sub, deep, room])
    expect(found.rooms[0]).toMatchObject({
      name: 'Top',
      room_type: 'm.space',
      join_rule: 'public',
      num_joined_members: 1,
      world_readable: false,
      guest_can_join: false,
    })
    expect(found.rooms[0]!.children_state.map(({ state_key, content }: ClientEvent) => [state_key, content])).toEqual(
      expect.arrayContaining([
        [sub, { via, order: 'a' }],
        [room, { via, order: 'b', suggested: true }],
      ]),
    )
    for (const child of found.rooms[0]!.children_state)
      expect(Object.keys(child).sort()).toEqual(['content', 'origin_server_ts', 'sender', 'state_key', 'type'])
    expect(found.rooms[3]!.children_state).toEqual([])
  })

  /** https://spec.matrix.org/v1.19/client-server-api/#ordering-of-children-within-a-space */
  test('goes by valid orders, then by when the rooms became children, then by id', async () => {
    const space = await createSpace()
    const rooms = [await createRoom(alice), await createRoom(alice), await createRoom(alice), await createRoom(alice)]
    const orders = [{ order: 'ä' }, { order: 'b' }, { order: 'a' }, {}]
    for (const [place, room] of rooms.entries()) await addChild(space, room, orders[place])
    // Orders with non-ASCII characters are invalid.
    expect(idsOf(await hierarchy(space))).toEqual([space, rooms[2], rooms[1], rooms[0], rooms[3]])
  })

  test('stops at max_depth', async () => {
    const [top, middle, bottom] = [await createSpace(), await createSpace(), await createSpace()]
    await addChild(top, middle)
    await addChild(middle, bottom)
    expect(idsOf(await hierarchy(top, '?max_depth=0'))).toEqual([top])
    expect(idsOf(await hierarchy(top, '?max_depth=1'))).toEqual([top, middle])
    expect(idsOf(await hierarchy(top))).toEqual([top, middle, bottom])
  })

  test('can be of suggested rooms only', async () => {
    const [space, yes, no] = [await createSpace(), await createRoom(alice), await createRoom(alice)]
    await addChild(space, yes, { suggested: true })
    await addChild(space, no)
    const found = await hierarchy(space, '?suggested_only=true')
    expect(idsOf(found)).toEqual([space, yes])
    expect(found.rooms[0]!.children_state.map(({ state_key }: ClientEvent) => state_key)).toEqual([yes])
  })

  test('comes in pages, asked for alike', async () => {
    const space = await createSpace()
    const rooms: string[] = []
    for (let i = 0; i < 5; i++) {
      rooms.push(await createRoom(alice))
      await addChild(space, rooms[i]!, { order: `${i}` })
    }
    const seen: string[] = []
    let from = ''
    do {
      const page = await hierarchy(space, `?limit=2${from && `&from=${encodeURIComponent(from)}`}`)
      expect(page.rooms.length).toBeLessThanOrEqual(2)
      seen.push(...idsOf(page))
      from = page.next_batch ?? ''
    } while (from)
    expect(seen).toEqual([space, ...rooms])
    const { next_batch } = await hierarchy(space, '?limit=2')
    const changed = `hierarchy?limit=2&max_depth=1&from=${encodeURIComponent(next_batch!)}`
    expect(await refusal(alice, 'GET', roomPath(space, changed, v1))).toEqual([400, 'M_INVALID_PARAM'])
    expect((await alice.ask('GET', roomPath(space, 'hierarchy?from=nonsense', v1))).status).toBe(400)
  })

  test('has no children that were removed or name no server', async () => {
    const [space, gone, nowhere] = [await createSpace(), await createRoom(alice), await createRoom(alice)]
    await addChild(space, gone)
    await sendState(alice, space, { type: 'm.space.child', key: gone, content: {} })
    await sendState(alice, space, { type: 'm.space.child', key: nowhere, content: { via: 'no list' } })
    const { rooms } = await hierarchy(space)
    expect(rooms.map(({ room_id, children_state }) => [room_id, children_state])).toEqual([[space, []]])
  })
})

describe('visibility', () => {
  test('private rooms are shown to who is in them or invited', async () => {
    const [space, hidden] = [await createSpace(), await createRoom(alice, { preset: 'private_chat' })]
    await addChild(space, hidden)
    await joinRoom(space, bob)
    expect(idsOf(await hierarchy(space, '', bob))).toEqual([space])
    await alice.post(roomPath(hidden, 'invite'), { user_id: bob.userId })
    expect(idsOf(await hierarchy(space, '', bob))).toEqual([space, hidden])
  })

  test.each(['knock', 'public'])('rooms with the join rule %s are shown to all', async (join_rule) => {
    const [space, room] = [await createSpace(), await createRoom(alice, { preset: 'private_chat' })]
    await sendState(alice, room, { type: 'm.room.join_rules', content: { join_rule } })
    await addChild(space, room)
    const found = await hierarchy(space, '', bob)
    expect(idsOf(found)).toEqual([space, room])
    expect(found.rooms[1]!.join_rule).toBe(join_rule)
  })

  test('restricted ones to who may join them by another room', async () => {
    const space = await createSpace()
    const room = await createRoom(alice, { preset: 'private_chat', initial_state: [restricted('restricted', space)] })
    await addChild(space, room)
    expect(idsOf(await hierarchy(space, '', bob))).toEqual([space])
    await joinRoom(space, bob)
    const found = await hierarchy(space, '', bob)
    expect(idsOf(found)).toEqual([space, room])
    expect(found.rooms[1]).toMatchObject({ join_rule: 'restricted', allowed_room_ids: [space] })
  })

  test('rooms where users may knock are shown to all', async () => {
    const space = await createSpace()
    const initial_state = [restricted('knock_restricted', space)]
    const room = await createRoom(alice, { preset: 'private_chat', initial_state })
    await addChild(space, room)
    const found = await hierarchy(space, '', bob)
    expect(idsOf(found)).toEqual([space, room])
    expect(found.rooms[1]).toMatchObject({ join_rule: 'knock_restricted', allowed_room_ids: [space] })
  })

  test('world-readable ones to all', async () => {
    const space = await createSpace()
    const room = await createRoom(alice, {
      preset: 'private_chat',
      initial_state: [
        { type: 'm.room.history_visibility', state_key: '', content: { history_visibility: 'world_readable' } },
      ],
    })
    await addChild(space, room)
    const found = await hierarchy(space, '', bob)
    expect(found.rooms[1]).toMatchObject({ room_id: room, world_readable: true, join_rule: 'invite' })
  })

  test('no further page of a space is for a user who was removed from it, nor rooms that became private', async () => {
    const space = await createSpace({ preset: 'private_chat', invite: [bob.userId] })
    await joinRoom(space, bob)
    const rooms = [await createRoom(alice), await createRoom(alice), await createRoom(alice)]
    for (const [place, room] of rooms.entries()) await addChild(space, room, { order: `${place}` })
    const { next_batch } = await hierarchy(space, '?limit=2', bob)
    const next = `?limit=2&from=${encodeURIComponent(next_batch!)}`
    const rules = { type: 'm.room.join_rules', content: { join_rule: 'invite' } }
    await sendState(alice, rooms[1]!, rules)
    expect(idsOf(await hierarchy(space, next, bob))).toEqual([rooms[2]])
    await alice.post(roomPath(space, 'kick'), { user_id: bob.userId })
    expect(await refusal(bob, 'GET', roomPath(space, `hierarchy${next}`, v1))).toEqual([403, 'M_FORBIDDEN'])
  })

  test('of a space that one may not see, nothing', async () => {
    const space = await createSpace({ preset: 'private_chat' })
    expect(await refusal(bob, 'GET', roomPath(space, 'hierarchy', v1))).toEqual([403, 'M_FORBIDDEN'])
    expect((await bob.ask('GET', roomPath('!unknown:example.org', 'hierarchy', v1))).status).toBeGreaterThanOrEqual(403)
  })
})
