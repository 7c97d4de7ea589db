import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startClientApi, type TestClient } from '../../../testing/client-api.ts'

let api: Awaited<ReturnType<typeof startClientApi>>
let alice: TestClient
let bob: TestClient
let carol: TestClient
beforeAll(async () => {
  api = await startClientApi()
  ;[alice, bob, carol] = [await api.client('alice'), await api.client('bob'), await api.client('carol')]
})
afterAll(() => api.close())

async function membership(roomId: string, user: TestClient) {
  return (await api.state(roomId as never))[`m.room.member|${user.userId}`]
}

async function refused(
  request: Promise<{ status: number; body: { errcode: string } }>,
  status = 403,
  errcode = 'M_FORBIDDEN',
) {
  const before = await api.counts()
  const answer = await request
  expect([answer.status, answer.body.errcode]).toEqual([status, errcode])
  expect(await api.counts()).toEqual(before)
}

const act = (user: TestClient, roomId: string, action: string, body: object = {}) =>
  user.ask('POST', `/rooms/${encodeURIComponent(roomId)}/${action}`, body)
const setMember = (user: TestClient, roomId: string, target: TestClient, content: object) =>
  user.ask('PUT', `/rooms/${roomId}/state/m.room.member/${target.userId}`, content)
const publicRoom = (more: object = {}) => alice.createRoom({ preset: 'public_chat', ...more })

describe.each(['1', '6', '10', '11', '12'])('version %s', (room_version) => {
  test('invited, rejected, invited again, joined, kicked, banned, unbanned', async () => {
    const roomId = await alice.createRoom({ room_version })
    await refused(act(bob, roomId, 'join'))
    const invite = { user_id: bob.userId, reason: 'come' }
    expect((await act(alice, roomId, 'invite', invite)).body).toEqual({})
    expect(await membership(roomId, bob)).toEqual({ membership: 'invite', reason: 'come' })
    expect((await act(bob, roomId, 'leave', { reason: 'no' })).body).toEqual({})
    expect(await membership(roomId, bob)).toEqual({ membership: 'leave', reason: 'no' })
    await refused(act(bob, roomId, 'join'))
    await act(alice, roomId, 'invite', invite)
    expect((await act(bob, roomId, 'join', { reason: 'yes', foo: 'bar' })).body).toEqual({ room_id: roomId })
    expect(await membership(roomId, bob)).toEqual({ membership: 'join', reason: 'yes', foo: 'bar' })
    await refused(act(alice, roomId, 'invite', invite))
    await refused(act(bob, roomId, 'kick', { user_id: alice.userId }))
    await act(alice, roomId, 'kick', { user_id: bob.userId, reason: 'rude' })
    expect(await membership(roomId, bob)).toEqual({ membership: 'leave', reason: 'rude' })
    await refused(act(alice, roomId, 'kick', { user_id: bob.userId }))
    await refused(act(alice, roomId, 'unban', { user_id: bob.userId }), 403, 'M_BAD_STATE')
    await act(alice, roomId, 'ban', { user_id: bob.userId, reason: 'ruder' })
    expect(await membership(roomId, bob)).toEqual({ membership: 'ban', reason: 'ruder' })
    await refused(act(alice, roomId, 'invite', invite))
    await refused(act(bob, roomId, 'leave'))
    await act(alice, roomId, 'unban', { user_id: bob.userId })
    expect(await membership(roomId, bob)).toEqual({ membership: 'leave' })
  })
})

describe('join', () => {
  test('by id and by alias, with via and server_name', async () => {
    const roomId = await publicRoom({ room_alias_name: 'join-me' })
    const alias = encodeURIComponent('#join-me:hearth.test')
    expect(await bob.ok('POST', `/join/${alias}?via=a.test&via=b.test`, {})).toEqual({ room_id: roomId })
    expect(await carol.ok('POST', `/join/${encodeURIComponent(roomId)}?server_name=a.test`)).toEqual({
      room_id: roomId,
    })
    expect(await membership(roomId, carol)).toEqual({ membership: 'join' })
  })

  test('twice is once', async () => {
    const roomId = await publicRoom()
    await act(bob, roomId, 'join')
    const before = await api.counts()
    expect((await act(bob, roomId, 'join', { reason: 'again' })).body).toEqual({ room_id: roomId })
    expect(await api.counts()).toEqual(before)
  })

  test('twice at once is once, and many at once all join', async () => {
    const roomId = await publicRoom()
    const users = await Promise.all(Array.from({ length: 10 }, (_, number) => api.client(`many${number}`)))
    const before = await api.counts()
    const answers = await Promise.all([...users, ...users].map((user) => act(user, roomId, 'join')))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    expect((await api.counts()).events - before.events).toBe(10)
    const room = await api.app.database.sql
      .selectFrom('rooms')
      .selectAll()
      .where('room_id', '=', roomId)
      .executeTakeFirst()
    expect(room?.joined_members).toBe(11)
  })

  test('an unknown room is not found', async () => {
    await refused(act(bob, '!nowhere:hearth.test', 'join'), 404, 'M_NOT_FOUND')
    await refused(bob.ask('POST', `/join/${encodeURIComponent('#no:hearth.test')}`, {}), 404, 'M_NOT_FOUND')
    await refused(bob.ask('POST', '/join/nonsense', {}), 400, 'M_INVALID_PARAM')
  })

  test('guests where they are admitted, until they are not', async () => {
    const guest = await api.client('guest', { guest: true })
    const closed = await publicRoom()
    await refused(act(guest, closed, 'join'), 403, 'M_GUEST_ACCESS_FORBIDDEN')
    await refused(setMember(guest, closed, guest, { membership: 'join' }), 403, 'M_GUEST_ACCESS_FORBIDDEN')
    const path = `/rooms/${closed}/state/m.room.guest_access`
    await alice.ok('PUT', path, { guest_access: 'can_join' })
    await act(guest, closed, 'join')
    await act(bob, closed, 'join')
    expect(await membership(closed, guest)).toEqual({ membership: 'join' })
    await alice.ok('PUT', path, { guest_access: 'forbidden' })
    await expect.poll(() => membership(closed, guest)).toEqual({ membership: 'leave' })
    expect(await membership(closed, bob)).toEqual({ membership: 'join' })
  })

  test('suspended users do not join, knock or invite, but leave', async () => {
    const roomId = await publicRoom()
    const eve = await api.client('eve')
    await act(eve, roomId, 'join')
    const suspended = await api.client('eve', { suspended: true })
    await refused(act(suspended, roomId, 'invite', { user_id: bob.userId }), 403, 'M_USER_SUSPENDED')
    expect((await act(suspended, roomId, 'leave')).status).toBe(200)
    await refused(act(suspended, roomId, 'join'), 403, 'M_USER_SUSPENDED')
  })
})

describe.each([
  ['8', 'restricted'],
  ['10', 'knock_restricted'],
  ['12', 'restricted'],
])('version %s, join rule %s', (room_version, join_rule) => {
  const rules = (allow: unknown) => ({ join_rule, allow })
  const allowing = (roomId: string) => rules([{ type: 'm.room_membership', room_id: roomId, via: ['hearth.test'] }])

  test('members of the other room may join, in the name of someone who may invite', async () => {
    const lobby = await publicRoom()
    const initial_state = [{ type: 'm.room.join_rules', content: allowing(lobby) }]
    const roomId = await publicRoom({ room_version, initial_state })
    await refused(act(bob, roomId, 'join'))
    await act(bob, lobby, 'join')
    expect((await act(bob, roomId, 'join')).status).toBe(200)
    expect(await membership(roomId, bob)).toEqual({
      membership: 'join',
      join_authorised_via_users_server: alice.userId,
    })
    const again = await setMember(bob, roomId, bob, {
      membership: 'join',
      displayname: 'Bobby',
      join_authorised_via_users_server: 'unused',
    })
    expect(again.status).toBe(200)
    expect(await membership(roomId, bob)).toEqual({ membership: 'join', displayname: 'Bobby' })
    await act(bob, roomId, 'leave')
    await act(bob, lobby, 'leave')
    await refused(act(bob, roomId, 'join'))
    await act(alice, roomId, 'invite', { user_id: bob.userId })
    expect((await act(bob, roomId, 'join')).status).toBe(200)
    await act(bob, roomId, 'leave')
    await act(bob, lobby, 'join')
    for (const allow of [['invalid'], 'invalid', undefined, [null, { type: 'm.room_membership' }]]) {
      await alice.ok('PUT', `/rooms/${roomId}/state/m.room.join_rules`, rules(allow))
      await refused(act(bob, roomId, 'join'))
    }
  })

  test('not when nobody here may invite', async () => {
    const lobby = await publicRoom()
    await act(bob, lobby, 'join')
    await act(carol, lobby, 'join')
    const roomId = await publicRoom({
      room_version,
      initial_state: [{ type: 'm.room.join_rules', content: allowing(lobby) }],
      power_level_content_override: { invite: 0 },
    })
    await act(bob, roomId, 'join')
    await act(alice, roomId, 'leave')
    // Every member may invite, and Bob is still joined.
    expect((await act(carol, roomId, 'join')).status).toBe(200)
    expect(await membership(roomId, carol)).toMatchObject({ join_authorised_via_users_server: bob.userId })
    await act(carol, roomId, 'leave')
    await act(bob, roomId, 'leave')
    await refused(act(carol, roomId, 'join'))
  })
})

test.each([
  ['7', 'knock'],
  ['10', 'knock_restricted'],
])('version %s: knocking with %s', async (room_version, join_rule) => {
  const roomId = await alice.createRoom({ room_version })
  const knock = (reason?: string) => bob.ask('POST', `/knock/${encodeURIComponent(roomId)}?via=a.test`, { reason })
  await refused(knock())
  await alice.ok('PUT', `/rooms/${roomId}/state/m.room.join_rules`, { join_rule })
  await refused(act(bob, roomId, 'join'))
  expect((await knock('Let me in')).body).toEqual({ room_id: roomId })
  expect(await membership(roomId, bob)).toEqual({ membership: 'knock', reason: 'Let me in' })
  expect((await knock('Please')).status).toBe(200)
  await act(bob, roomId, 'leave')
  expect(await membership(roomId, bob)).toEqual({ membership: 'leave' })
  await knock()
  await act(alice, roomId, 'kick', { user_id: bob.userId })
  await knock()
  await act(alice, roomId, 'invite', { user_id: bob.userId })
  await refused(knock())
  await act(bob, roomId, 'join')
  await refused(knock())
  await act(alice, roomId, 'ban', { user_id: bob.userId })
  await refused(knock())
  await refused(bob.ask('POST', '/knock/!no:hearth.test', {}), 404, 'M_NOT_FOUND')
})

describe('member events as state', () => {
  test('are subject to the same checks', async () => {
    const roomId = await alice.createRoom()
    await refused(setMember(alice, roomId, bob, {}), 400, 'M_BAD_JSON')
    await refused(setMember(alice, roomId, bob, { membership: 'friend' }), 400, 'M_BAD_JSON')
    await refused(
      alice.ask('PUT', `/rooms/${roomId}/state/m.room.member/bob`, { membership: 'ban' }),
      400,
      'M_INVALID_PARAM',
    )
    await refused(setMember(alice, roomId, bob, { membership: 'join' }))
    await refused(setMember(bob, roomId, bob, { membership: 'join' }))
    const remote = { ...bob, userId: '@bob:elsewhere.test' } as TestClient
    await refused(setMember(alice, roomId, remote, { membership: 'invite' }), 404, 'M_NOT_FOUND')
    expect((await setMember(alice, roomId, bob, { membership: 'invite' })).status).toBe(200)
    expect((await setMember(bob, roomId, bob, { membership: 'join', displayname: 'B' })).status).toBe(200)
    expect(await membership(roomId, bob)).toEqual({ membership: 'join', displayname: 'B' })
    const before = await api.counts()
    expect((await setMember(bob, roomId, bob, { membership: 'join', displayname: 'B' })).status).toBe(200)
    expect(await api.counts()).toEqual(before)
  })
})

test('a user who blocks invites gets none', async () => {
  const hermit = await api.client('hermit')
  await api.app.database.write((tx) =>
    tx.sql
      .insertInto('account_data')
      .values({
        user_id: hermit.userId,
        room_id: '',
        type: 'm.invite_permission_config',
        content: '{"default_action":"block"}',
      })
      .execute(),
  )
  const roomId = await alice.createRoom()
  await refused(act(alice, roomId, 'invite', { user_id: hermit.userId }), 403, 'M_INVITE_BLOCKED')
  await refused(setMember(alice, roomId, hermit, { membership: 'invite' }), 403, 'M_INVITE_BLOCKED')
})

test('strangers learn nothing about rooms', async () => {
  const roomId = await alice.createRoom()
  const nowhere = '!nowhere:hearth.test'
  for (const action of ['invite', 'kick', 'ban', 'unban', 'leave']) {
    const there = await act(bob, roomId, action, { user_id: carol.userId })
    const notThere = await act(bob, nowhere, action, { user_id: carol.userId })
    expect([there.status, there.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
    expect(notThere.body.errcode).toBe('M_FORBIDDEN')
  }
})

test('bodies are checked', async () => {
  const roomId = await alice.createRoom()
  await refused(act(alice, roomId, 'invite', {}), 400, 'M_MISSING_PARAM')
  await refused(act(alice, roomId, 'invite', { user_id: 'bob' }), 400, 'M_BAD_JSON')
  await refused(act(alice, roomId, 'invite', { medium: 'email', address: 'b@x.test' }), 400, 'M_MISSING_PARAM')
  await refused(act(alice, roomId, 'ban', { user_id: bob.userId, reason: 1 }), 400, 'M_BAD_JSON')
  await refused(act(alice, 'nonsense', 'leave'), 400, 'M_INVALID_PARAM')
})

describe('forget', () => {
  const row = (roomId: string, user: TestClient) =>
    api.app.database.sql
      .selectFrom('room_memberships')
      .selectAll()
      .where('room_id', '=', roomId as never)
      .where('user_id', '=', user.userId)
      .executeTakeFirst()

  test('only what has been left; a new invite brings it back, a ban does not', async () => {
    const roomId = await alice.createRoom({ invite: [bob.userId] })
    await refused(act(alice, roomId, 'forget'), 400, 'M_UNKNOWN')
    await refused(act(bob, roomId, 'forget'), 400, 'M_UNKNOWN')
    await act(bob, roomId, 'leave')
    expect((await act(bob, roomId, 'forget')).body).toEqual({})
    expect((await row(roomId, bob))?.forgotten).toBe(true)
    await act(alice, roomId, 'ban', { user_id: bob.userId })
    expect((await row(roomId, bob))?.forgotten).toBe(true)
    await act(alice, roomId, 'unban', { user_id: bob.userId })
    await act(alice, roomId, 'invite', { user_id: bob.userId })
    expect((await row(roomId, bob))?.forgotten).toBe(false)
    expect((await act(bob, '!nowhere:hearth.test', 'forget')).status).toBe(200)
  })
})

test('joined_rooms lists where one is, and only that', async () => {
  const dora = await api.client('dora')
  const [here, left, invited] = [
    await dora.createRoom(),
    await dora.createRoom({ name: 'x' }),
    await alice.createRoom(),
  ]
  await act(dora, left, 'leave')
  await act(alice, invited, 'invite', { user_id: dora.userId })
  expect(await dora.ok('GET', '/joined_rooms')).toEqual({ joined_rooms: [here] })
})
