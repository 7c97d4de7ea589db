import { beforeAll, describe, expect, inject, test } from 'vitest'
import { ask, registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import { type ClientEvent, createRoom, joinRoom, refusal, roomPath, sendState, v1, v3 } from '../harness/rooms.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#listing-rooms */
const { url } = inject('homeserver')
const LIST = `${v3}/publicRooms`
let alice: TestUser
/** Only rooms of this test have it in their names. */
const word = uniqueName('listed')
let large: string
let small: string
let space: string

const visibilityPath = (roomId: string) => `${v3}/directory/list/room/${encodeURIComponent(roomId)}`
const search = (body: object, query = '') => alice.post(`${LIST}${query}`, body)
const named = (more: object = {}) => ({ filter: { generic_search_term: word, ...more } })
const idsOf = ({ chunk }: { chunk: readonly ClientEvent[] }) => chunk.map(({ room_id }) => room_id)

beforeAll(async () => {
  const [first, bob, carol] = (await Promise.all([1, 2, 3].map(() => registerUser(url)))) as [
    TestUser,
    TestUser,
    TestUser,
  ]
  alice = first
  small = await createRoom(alice, { visibility: 'public', name: `${word} small`, topic: 'Marmalade' })
  large = await createRoom(alice, { visibility: 'public', name: `${word} Large` })
  const creation_content = { type: 'm.space' }
  space = await createRoom(alice, { visibility: 'public', name: `${word} space`, creation_content })
  await createRoom(alice, { name: `${word} unlisted` })
  await joinRoom(large, bob, carol)
  await joinRoom(space, bob)
})

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3publicrooms */
describe('the directory', () => {
  test('has listed rooms, those with most members first', async () => {
    const found = await search(named())
    expect(idsOf(found)).toEqual([large, space, small])
    expect(found.total_room_count_estimate).toBeGreaterThanOrEqual(3)
    expect(found.chunk[0]).toMatchObject({
      name: `${word} Large`,
      num_joined_members: 3,
      world_readable: false,
      guest_can_join: false,
      join_rule: 'public',
    })
  })

  /** https://spec.matrix.org/v1.19/client-server-api/#mroomtopic */
  test('shows and finds the plain text of `m.topic`, as everything else does', async () => {
    const [older, newer] = [uniqueName('older'), uniqueName('newer')].map((text) => text.replaceAll('-', '')) as [
      string,
      string,
    ]
    const roomId = await createRoom(alice, { visibility: 'public' })
    const texts = [{ mimetype: 'text/html', body: '<b>x</b>' }, { body: newer }]
    await sendState(alice, roomId, { type: 'm.room.topic', content: { topic: older, 'm.topic': { 'm.text': texts } } })
    const listed = (word: string) => search({ filter: { generic_search_term: word } })
    expect((await listed(newer)).chunk).toMatchObject([{ room_id: roomId, topic: newer }])
    expect((await listed(older)).chunk).toEqual([])
    expect((await alice.get(`${v1}/room_summary/${encodeURIComponent(roomId)}`)).topic).toBe(newer)
    expect((await alice.get(roomPath(roomId, 'hierarchy', v1))).rooms[0].topic).toBe(newer)
    const found = async (search_term: string) =>
      (await alice.post(`${v3}/search`, { search_categories: { room_events: { search_term } } })).search_categories
        .room_events.count
    expect([await found(newer), await found(older)]).toEqual([1, 0])
  })

  test('is searched by name, topic and alias, in any case', async () => {
    expect(idsOf(await search({ filter: { generic_search_term: `${word} LARGE`.toUpperCase() } }))).toEqual([large])
    const byTopic = await search({ filter: { generic_search_term: 'marmalade' } })
    expect(idsOf(byTopic)).toContain(small)
    const name = uniqueName('alias')
    const roomId = await createRoom(alice, { visibility: 'public', room_alias_name: name })
    expect(idsOf(await search({ filter: { generic_search_term: name } }))).toEqual([roomId])
    expect((await search({ filter: { generic_search_term: '100%_\\' } })).chunk).toEqual([])
  })

  test('by type of room', async () => {
    expect(idsOf(await search(named({ room_types: ['m.space'] })))).toEqual([space])
    expect(idsOf(await search(named({ room_types: [null] })))).toEqual([large, small])
    expect(idsOf(await search(named({ room_types: [null, 'm.space'] })))).toEqual([large, space, small])
    expect(idsOf(await search(named({ room_types: ['org.example.none'] })))).toEqual([])
    expect(idsOf(await search(named({ room_types: null })))).toEqual([large, space, small])
  })

  test('in pages, forth and back', async () => {
    const first = await search({ ...named(), limit: 2 })
    expect(idsOf(first)).toEqual([large, space])
    expect(first.prev_batch).toBeUndefined()
    const second = await search({ ...named(), limit: 2, since: first.next_batch })
    expect(idsOf(second)).toEqual([small])
    expect(second.next_batch).toBeUndefined()
    expect(idsOf(await search({ ...named(), limit: 2, since: second.prev_batch }))).toEqual([large, space])
    expect(await refusal(alice, 'POST', LIST, { since: 'nonsense' })).toEqual([400, 'M_INVALID_PARAM'])
  })

  test('without a token by GET', async () => {
    const seen: string[] = []
    let since = ''
    do {
      const path = `${LIST}?limit=50${since && `&since=${encodeURIComponent(since)}`}`
      const { status, body } = await ask(url, { method: 'GET', path })
      expect(status).toBe(200)
      seen.push(...idsOf(body))
      since = body.next_batch ?? ''
    } while (since)
    expect(seen).toEqual(expect.arrayContaining([large, small, space]))
    expect(new Set(seen).size).toBe(seen.length)
  })

  test('of networks that are not there', async () => {
    const [, server] = alice.userId.split(/:(.*)/)
    expect(idsOf(await search(named(), `?server=${server}`))).toEqual([large, space, small])
    const nowhere = { ...named(), third_party_instance_id: 'irc-nowhere' }
    expect((await alice.ask('POST', LIST, nowhere)).body.chunk ?? []).toEqual([])
    expect((await search({ ...named(), include_all_networks: true })).chunk).toHaveLength(3)
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3directorylistroomroomid */
describe('a room’s place in the directory', () => {
  test('is taken and given up by who may', async () => {
    const bob = await registerUser(url)
    const name = uniqueName('place')
    const roomId = await createRoom(alice, { name })
    await joinRoom(roomId, bob)
    expect(await alice.get(visibilityPath(roomId))).toEqual({ visibility: 'private' })
    expect(await refusal(bob, 'PUT', visibilityPath(roomId), { visibility: 'public' })).toEqual([403, 'M_FORBIDDEN'])
    await alice.put(visibilityPath(roomId), {})
    expect(await alice.get(visibilityPath(roomId))).toEqual({ visibility: 'public' })
    expect(idsOf(await search({ filter: { generic_search_term: name } }))).toEqual([roomId])
    await alice.put(visibilityPath(roomId), { visibility: 'private' })
    expect((await search({ filter: { generic_search_term: name } })).chunk).toEqual([])
    const unknown = visibilityPath('!unknown:example.org')
    expect(await refusal(alice, 'GET', unknown)).toEqual([404, 'M_NOT_FOUND'])
    expect((await alice.ask('PUT', visibilityPath(roomId), { visibility: 'secret' })).status).toBe(400)
  })

  test('shows what the room is now', async () => {
    const name = uniqueName('shown')
    const roomId = await createRoom(alice, { name, visibility: 'public' })
    await sendState(alice, roomId, { type: 'm.room.topic', content: { topic: 'new' } })
    await sendState(alice, roomId, { type: 'm.room.guest_access', content: { guest_access: 'can_join' } })
    await sendState(alice, roomId, { type: 'm.room.avatar', content: { url: 'mxc://example.org/x' } })
    await sendState(alice, roomId, {
      type: 'm.room.history_visibility',
      content: { history_visibility: 'world_readable' },
    })
    const [room] = (await search({ filter: { generic_search_term: name } })).chunk
    expect(room).toMatchObject({
      topic: 'new',
      guest_can_join: true,
      world_readable: true,
      avatar_url: 'mxc://example.org/x',
    })
  })
})
