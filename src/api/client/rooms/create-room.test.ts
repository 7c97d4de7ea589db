import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startClientApi, type TestClient } from '../../../testing/client-api.ts'

let api: Awaited<ReturnType<typeof startClientApi>>
let alice: TestClient
let bob: TestClient
beforeAll(async () => {
  api = await startClientApi()
  ;[alice, bob] = [await api.client('alice'), await api.client('bob')]
})
afterAll(() => api.close())

const VERSIONS = ['1', '6', '10', '11', '12']

async function typesInOrder(roomId: string): Promise<string[]> {
  const rows = await api.app.database.sql
    .selectFrom('events')
    .select(['type', 'state_key'])
    .where('room_id', '=', roomId as never)
    .orderBy('event_order')
    .execute()
  return rows.map((row) => (row.state_key ? `${row.type}|${row.state_key}` : row.type))
}

describe.each(VERSIONS)('version %s', (room_version) => {
  test.each([
    ['private_chat', 'invite', 'can_join', 0],
    ['trusted_private_chat', 'invite', 'can_join', 0],
    ['public_chat', 'public', undefined, 50],
  ])('%s', async (preset, joinRule, guestAccess, invite) => {
    const roomId = await alice.createRoom({ room_version, preset, invite: [bob.userId] })
    const state = await api.state(roomId)
    expect(state['m.room.join_rules|']).toEqual({ join_rule: joinRule })
    expect(state['m.room.guest_access|']).toEqual(guestAccess && { guest_access: guestAccess })
    expect(state['m.room.history_visibility|']).toEqual({ history_visibility: 'shared' })
    expect(state[`m.room.member|${alice.userId}`]).toEqual({ membership: 'join' })
    expect(state[`m.room.member|${bob.userId}`]).toEqual({ membership: 'invite' })
    const create = state['m.room.create|']!
    expect(create.room_version).toBe(room_version)
    expect(create.creator).toBe(Number(room_version) < 11 ? alice.userId : undefined)
    const levels = state['m.room.power_levels|'] as { users: object; events: Record<string, number>; invite: number }
    const trusted = preset === 'trusted_private_chat'
    expect(levels.invite).toBe(invite)
    if (room_version === '12') {
      expect(levels.users).toEqual({})
      expect(levels.events['m.room.tombstone']).toBe(150)
      expect(create.additional_creators).toEqual(trusted ? [bob.userId] : undefined)
      expect(roomId).toMatch(/^![A-Za-z0-9_-]{43}$/)
    } else {
      expect(levels.users).toEqual({ [alice.userId]: 100, ...(trusted && { [bob.userId]: 100 }) })
      expect(roomId).toMatch(/^![A-Za-z0-9]{18}:hearth\.test$/)
    }
    expect(await typesInOrder(roomId)).toEqual([
      'm.room.create',
      `m.room.member|${alice.userId}`,
      'm.room.power_levels',
      'm.room.join_rules',
      'm.room.history_visibility',
      ...(guestAccess ? ['m.room.guest_access'] : []),
      `m.room.member|${bob.userId}`,
    ])
  })

  test('every option at once, in the order of the specification', async () => {
    const room_alias_name = `everything${room_version}`
    const roomId = await alice.createRoom({
      room_version,
      visibility: 'public',
      room_alias_name,
      name: 'The Grand Duke Pub',
      topic: 'All about happy hour',
      invite: [bob.userId],
      is_direct: true,
      creation_content: { 'm.federate': false, type: 'm.space', creator: '@mallory:x', room_version: '3' },
      initial_state: [
        { type: 'm.room.join_rules', content: { join_rule: 'invite' } },
        { type: 'org.example.other', state_key: 'key', content: { a: 1 } },
        { type: 'm.room.topic', content: { topic: 'Shenanigans' } },
      ],
      power_level_content_override: { events_default: 10 },
    })
    const state = await api.state(roomId)
    expect(state['m.room.create|']).toMatchObject({ 'm.federate': false, type: 'm.space', room_version })
    expect(state['m.room.create|']!.creator).not.toBe('@mallory:x')
    expect(state['m.room.power_levels|']).toMatchObject({ events_default: 10, state_default: 50, kick: 50 })
    expect(state['m.room.canonical_alias|']).toEqual({ alias: `#${room_alias_name}:hearth.test` })
    expect(state['m.room.topic|']).toEqual({
      topic: 'All about happy hour',
      'm.topic': { 'm.text': [{ body: 'All about happy hour' }] },
    })
    expect(state[`m.room.member|${bob.userId}`]).toEqual({ membership: 'invite', is_direct: true })
    expect(await typesInOrder(roomId)).toEqual([
      'm.room.create',
      `m.room.member|${alice.userId}`,
      'm.room.power_levels',
      'm.room.canonical_alias',
      'm.room.history_visibility',
      'm.room.join_rules',
      'org.example.other|key',
      'm.room.topic',
      'm.room.name',
      'm.room.topic',
      `m.room.member|${bob.userId}`,
    ])
    const row = await api.app.database.sql
      .selectFrom('rooms')
      .selectAll()
      .where('room_id', '=', roomId)
      .executeTakeFirst()
    expect(row).toMatchObject({
      in_directory: true,
      name: 'The Grand Duke Pub',
      room_type: 'm.space',
      invited_members: 1,
    })
    const { room_id } = await bob.ok('GET', `/directory/room/${encodeURIComponent(`#${room_alias_name}:hearth.test`)}`)
    expect(room_id).toBe(roomId)
  })
})

test('the version is the configured one by default', async () => {
  const state = await api.state(await alice.createRoom())
  expect(state['m.room.create|']!.room_version).toBe('12')
})

test('the invited of a trusted room add to the creators that the request names', async () => {
  const roomId = await alice.createRoom({
    room_version: '12',
    preset: 'trusted_private_chat',
    invite: [bob.userId],
    creation_content: { additional_creators: ['@carol:elsewhere.test', bob.userId] },
  })
  const { additional_creators } = (await api.state(roomId))['m.room.create|']!
  expect(additional_creators).toEqual(['@carol:elsewhere.test', bob.userId])
})

test('profiles are in the member events', async () => {
  const dora = await api.client('dora')
  await api.app.database.write(async (tx) => {
    await tx.sql
      .insertInto('profiles')
      .values({ user_id: dora.userId, displayname: 'Dora', avatar_url: 'mxc://x/y', fields: '{}' })
      .execute()
  })
  const state = await api.state(await alice.createRoom({ invite: [dora.userId] }))
  expect(state[`m.room.member|${dora.userId}`]).toEqual({
    membership: 'invite',
    displayname: 'Dora',
    avatar_url: 'mxc://x/y',
  })
})

test('rooms created alike in the same millisecond are different rooms', async () => {
  const rooms = await Promise.all(Array.from({ length: 12 }, () => alice.createRoom({ room_version: '12' })))
  expect(new Set(rooms).size).toBe(12)
})

describe('a refused request leaves nothing behind', () => {
  const body = (content: object, type = 'org.example') => ({ initial_state: [{ type, content }] })
  const self = '@alice:hearth.test'
  test.each([
    ['a numeric version', { room_version: 1 }, 400, 'M_BAD_JSON'],
    ['an unknown version', { room_version: 'ahfgw' }, 400, 'M_UNSUPPORTED_ROOM_VERSION'],
    ['an unknown preset', { preset: 'cosy' }, 400, 'M_BAD_JSON'],
    ['an alias with a colon', { room_alias_name: 'a:b' }, 400, 'M_INVALID_PARAM'],
    ['an alias with a space', { room_alias_name: 'a b' }, 400, 'M_INVALID_PARAM'],
    ['a taken alias', { room_alias_name: 'taken', name: 'second' }, 400, 'M_ROOM_IN_USE'],
    ['no user ids', { invite: ['bob'] }, 400, 'M_BAD_JSON'],
    [
      'third parties without an identity server',
      { invite_3pid: [{ medium: 'email', address: 'b@x' }] },
      400,
      'M_MISSING_PARAM',
    ],
    ['inviting oneself', { invite: [self] }, 400, 'M_INVALID_ROOM_STATE'],
    ['state without content', { initial_state: [{ type: 'm.room.name' }] }, 400, 'M_MISSING_PARAM'],
    ['state that is no object', { initial_state: ['x'] }, 400, 'M_BAD_JSON'],
    ['a float in the state', body({ a: 1.5 }), 400, 'M_BAD_JSON'],
    ['NUL in the type of state', body({}, 'a\0'), 400, 'M_BAD_JSON'],
    ['state that is too large', body({ a: 'x'.repeat(66_000) }), 413, 'M_TOO_LARGE'],
    ['members in the state', body({ membership: 'invite' }, 'm.room.member'), 400, 'M_BAD_JSON'],
    ['a second create event', body({}, 'm.room.create'), 400, 'M_INVALID_ROOM_STATE'],
    [
      'levels too low',
      { name: 'x', power_level_content_override: { users: {} }, room_version: '11' },
      400,
      'M_INVALID_ROOM_STATE',
    ],
    ['the creator in the levels', { power_level_content_override: { users: { [self]: 100 } } }, 400, 'M_BAD_JSON'],
    ['creators that are no list', { creation_content: { additional_creators: 'x' } }, 400, 'M_INVALID_ROOM_STATE'],
    [
      'creators that are no users',
      { creation_content: { additional_creators: ['@i:dom$ain$.com'] } },
      400,
      'M_INVALID_ROOM_STATE',
    ],
  ])('%s', async (_, options, status, errcode) => {
    await alice.ask('POST', '/createRoom', { room_alias_name: 'taken' })
    const before = await api.counts()
    const answer = await alice.ask('POST', '/createRoom', options)
    expect([answer.status, answer.body.errcode]).toEqual([status, errcode])
    expect(await api.counts()).toEqual(before)
  })

  test('an invite that is blocked', async () => {
    const eve = await api.client('eve')
    await api.app.database.write((tx) =>
      tx.sql
        .insertInto('account_data')
        .values({
          user_id: eve.userId,
          room_id: '',
          type: 'm.invite_permission_config',
          content: '{"default_action":"block"}',
        })
        .execute(),
    )
    const before = await api.counts()
    const answer = await alice.ask('POST', '/createRoom', { invite: [bob.userId, eve.userId] })
    expect([answer.status, answer.body.errcode]).toEqual([403, 'M_INVITE_BLOCKED'])
    expect(await api.counts()).toEqual(before)
  })

  test('of two rooms that want the same alias at once, one is created', async () => {
    const before = await api.counts()
    const wish = { room_alias_name: 'wanted', preset: 'public_chat', room_version: '10' }
    const answers = await Promise.all([alice, bob].map((user) => user.ask('POST', '/createRoom', wish)))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400])
    expect(answers.find(({ status }) => status === 400)!.body.errcode).toBe('M_ROOM_IN_USE')
    const after = await api.counts()
    expect([after.rooms - before.rooms, after.aliases - before.aliases]).toEqual([1, 1])
  })
})

test('guests and suspended users create no rooms', async () => {
  const guest = await api.client('guest', { guest: true })
  const suspended = await api.client('suspended', { suspended: true })
  expect((await guest.ask('POST', '/createRoom', {})).body.errcode).toBe('M_GUEST_ACCESS_FORBIDDEN')
  expect((await suspended.ask('POST', '/createRoom', {})).body.errcode).toBe('M_USER_SUSPENDED')
})
