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

const visibility = (user: TestClient, roomId: string, body?: object) =>
  user.ask(body ? 'PUT' : 'GET', `/directory/list/room/${encodeURIComponent(roomId)}`, body)
type Page = { chunk: { room_id: string; name?: string }[]; next_batch?: string; prev_batch?: string }

async function expectError(
  request: Promise<{ status: number; body: { errcode: string } }>,
  status: number,
  errcode: string,
) {
  const answer = await request
  expect([answer.status, answer.body.errcode]).toEqual([status, errcode])
}

test('a room is listed and hidden by those who may set its canonical alias', async () => {
  const admin = await api.client('admin', { admin: true })
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  await bob.ok('POST', `/rooms/${roomId}/join`, {})
  expect((await visibility(bob, roomId)).body).toEqual({ visibility: 'private' })
  await expectError(visibility(bob, roomId, { visibility: 'public' }), 403, 'M_FORBIDDEN')
  expect((await visibility(alice, roomId, {})).body).toEqual({})
  expect((await visibility(bob, roomId)).body).toEqual({ visibility: 'public' })
  await visibility(admin, roomId, { visibility: 'private' })
  expect((await visibility(bob, roomId)).body).toEqual({ visibility: 'private' })
  await expectError(visibility(alice, '!no:hearth.test'), 404, 'M_NOT_FOUND')
  await expectError(visibility(alice, '!no:hearth.test', { visibility: 'public' }), 404, 'M_NOT_FOUND')
  await expectError(visibility(alice, roomId, { visibility: 'secret' }), 400, 'M_BAD_JSON')
})

describe('the list', () => {
  const names = (page: Page) => page.chunk.map(({ name }) => name)
  const search = (body: object): Promise<Page> => alice.ok('POST', '/publicRooms', body)
  const filtered = async (filter: object) => names(await search({ filter }))
  let full: string

  beforeAll(async () => {
    for (const [number, name] of ['one', 'two', 'three', 'four', 'five'].entries()) {
      const roomId = await alice.createRoom({
        visibility: 'public',
        name,
        topic: `Topic 100% ${name}`,
        room_alias_name: `list_${name}`,
        ...(name === 'five' && { creation_content: { type: 'm.space' } }),
      })
      for (let i = 0; i < 4 - number; i++) {
        const user = await api.client(`member${i}`)
        await user.ok('POST', `/rooms/${roomId}/join`, {})
      }
      if (name === 'one') full = roomId
    }
    await alice.createRoom({ preset: 'public_chat', name: 'not listed' })
    const secret = await alice.createRoom({ visibility: 'public', preset: 'private_chat', name: 'by invite only' })
    expect((await visibility(bob, secret)).body).toEqual({ visibility: 'public' })
    const left = await alice.createRoom({ visibility: 'public', name: 'deserted' })
    await alice.ok('POST', `/rooms/${left}/leave`, {})
  })

  test('has the rooms that can be joined, most members first', async () => {
    await alice.ok('PUT', `/rooms/${full}/state/m.room.avatar`, { url: 'mxc://a/b' })
    const page = await bob.ok('GET', '/publicRooms')
    expect(names(page)).toEqual(['one', 'two', 'three', 'four', 'five'])
    expect(page.chunk[0]).toEqual({
      room_id: full,
      name: 'one',
      topic: 'Topic 100% one',
      canonical_alias: '#list_one:hearth.test',
      avatar_url: 'mxc://a/b',
      num_joined_members: 5,
      join_rule: 'public',
      world_readable: false,
      guest_can_join: false,
    })
    expect(page.total_room_count_estimate).toBe(5)
    expect([page.next_batch, page.prev_batch]).toEqual([undefined, undefined])
  })

  test('is read in pages, forth and back', async () => {
    const get = (query: string): Promise<Page> => bob.ok('GET', `/publicRooms?${query}`)
    const first = await get('limit=2')
    expect([names(first), first.prev_batch]).toEqual([['one', 'two'], undefined])
    const second = await get(`limit=2&since=${encodeURIComponent(first.next_batch!)}`)
    expect(names(second)).toEqual(['three', 'four'])
    const third = await get(`limit=2&since=${encodeURIComponent(second.next_batch!)}`)
    expect([names(third), third.next_batch]).toEqual([['five'], undefined])
    const back = await get(`limit=2&since=${encodeURIComponent(third.prev_batch!)}`)
    expect(names(back)).toEqual(['three', 'four'])
    const start = await get(`limit=3&since=${encodeURIComponent(back.prev_batch!)}`)
    expect([names(start), start.prev_batch]).toEqual([['one', 'two'], undefined])
    expect(names(await get(`since=${encodeURIComponent(start.next_batch!)}`))).toEqual(['three', 'four', 'five'])
  })

  test('is searched in name, topic and alias, in any case, by text that means itself', async () => {
    expect(await filtered({ generic_search_term: 'TWO' })).toEqual(['two'])
    expect(await filtered({ generic_search_term: 'topic 100% th' })).toEqual(['three'])
    expect(await filtered({ generic_search_term: 'list_f' })).toEqual(['four', 'five'])
    expect(await filtered({ generic_search_term: 'listXf' })).toEqual([])
    expect(await filtered({ generic_search_term: '10_%' })).toEqual([])
    expect(await filtered({ generic_search_term: '\0' })).toEqual([])
    expect(await filtered({ generic_search_term: '' })).toHaveLength(5)
  })

  test('is filtered by type', async () => {
    expect(await filtered({ room_types: ['m.space'] })).toEqual(['five'])
    expect(await filtered({ room_types: [null] })).toEqual(['one', 'two', 'three', 'four'])
    expect(await filtered({ room_types: [null, 'm.space'] })).toHaveLength(5)
    expect(await filtered({ room_types: [] })).toEqual([])
  })

  test('refuses what it cannot know', async () => {
    await expectError(alice.ask('GET', '/publicRooms?since=p190q'), 400, 'M_INVALID_PARAM')
    await expectError(alice.ask('GET', '/publicRooms?limit=-1'), 400, 'M_INVALID_PARAM')
    await expectError(alice.ask('GET', '/publicRooms?server=elsewhere.test'), 404, 'M_NOT_FOUND')
    expect((await alice.ask('GET', '/publicRooms?server=hearth.test')).status).toBe(200)
    const networks = { include_all_networks: true, third_party_instance_id: 'irc' }
    await expectError(alice.ask('POST', '/publicRooms', networks), 400, 'M_INVALID_PARAM')
    expect((await search({ third_party_instance_id: 'irc' })).chunk).toEqual([])
    expect((await search({ include_all_networks: true })).chunk).toHaveLength(5)
  })
})
