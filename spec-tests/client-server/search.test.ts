import { beforeAll, expect, inject, test } from 'vitest'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#server-side-search */
const { url } = inject('homeserver')
let alice: TestUser
let bob: TestUser
beforeAll(async () => {
  ;[alice, bob] = (await Promise.all([registerUser(url), registerUser(url)])) as [TestUser, TestUser]
})

const v3 = '/_matrix/client/v3'
const createRoom = async (user: TestUser, options: object = {}): Promise<string> =>
  (await user.post(`${v3}/createRoom`, { preset: 'public_chat', ...options })).room_id
const inRoom = (roomId: string, path: string) => `${v3}/rooms/${encodeURIComponent(roomId)}/${path}`

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
async function search(user: TestUser, term: string, criteria: object = {}, nextBatch?: string): Promise<any> {
  const path = `${v3}/search${nextBatch ? `?next_batch=${encodeURIComponent(nextBatch)}` : ''}`
  const body = { search_categories: { room_events: { search_term: term, order_by: 'recent', ...criteria } } }
  return (await user.post(path, body)).search_categories.room_events
}
const inThe = (roomId: string, limit?: number) => ({ filter: { rooms: [roomId], ...(limit && { limit }) } })
const ids = (found: { results: { result: { event_id: string } }[] }) =>
  found.results.map(({ result }) => result.event_id)

test('a message is found as soon as it is sent, whatever the language', async () => {
  const roomId = await createRoom(alice)
  const texts = [
    'The kettle is boiling',
    '今天我在北京大学学习中文',
    '昨日は東京タワーに行きました',
    '오늘은 날씨가 좋습니다',
  ]
  const sent: string[] = []
  for (const text of texts) sent.push(await sendText(alice, roomId, text))
  for (const [term, place] of [
    ['KETTLE boiling', 0],
    ['北京大学', 1],
    ['东', undefined],
    ['中', 1],
    ['東京タワー', 2],
    ['날씨', 3],
  ] as const) {
    const found = await search(alice, term, inThe(roomId))
    expect(ids(found), term).toEqual(place === undefined ? [] : [sent[place]])
    expect(found.count).toBe(place === undefined ? 0 : 1)
  }
  expect((await search(alice, '北京 学习', inThe(roomId))).highlights).toEqual(['北京', '学习'])
})

test('names and topics are found too, and keys choose', async () => {
  const roomId = await createRoom(alice, { name: 'Zebra crossing', topic: 'All about zebra stripes' })
  const message = await sendText(alice, roomId, 'a zebra')
  const all = await search(alice, 'zebra', inThe(roomId))
  expect(all.results.map((result: { result: { type: string } }) => result.result.type).sort()).toEqual([
    'm.room.message',
    'm.room.name',
    'm.room.topic',
  ])
  expect(ids(await search(alice, 'zebra', { ...inThe(roomId), keys: ['content.body'] }))).toEqual([message])
})

test('results come in pages, the newest first or the closest first', async () => {
  const roomId = await createRoom(alice)
  const sent: string[] = []
  for (let i = 0; i < 5; i++)
    sent.push(await sendText(alice, roomId, `lantern number ${i}${' and more words'.repeat(i)}`))
  const first = await search(alice, 'lantern', inThe(roomId, 3))
  expect(ids(first)).toEqual(sent.toReversed().slice(0, 3))
  expect(first.count).toBe(5)
  const second = await search(alice, 'lantern', inThe(roomId, 3), first.next_batch)
  expect(ids(second)).toEqual(sent.toReversed().slice(3))
  expect(second.next_batch).toBeUndefined()
  const ranked = await search(alice, 'lantern', { ...inThe(roomId, 1), order_by: 'rank' })
  expect(ids(ranked)).toEqual([sent[0]])
  const closer = await search(alice, 'lantern', { ...inThe(roomId, 1), order_by: 'rank' }, ranked.next_batch)
  expect(closer.results[0].rank).toBeLessThan(ranked.results[0].rank)
})

test('a result includes its context, profiles and state', async () => {
  const roomId = await createRoom(alice)
  await alice.put(`${v3}/profile/${encodeURIComponent(alice.userId)}/displayname`, { displayname: 'Alice' })
  const sent: string[] = []
  for (let i = 0; i < 5; i++) sent.push(await sendText(alice, roomId, `walnut${i}`))
  const found = await search(alice, 'walnut2', {
    ...inThe(roomId),
    event_context: { before_limit: 1, after_limit: 2, include_profile: true },
    include_state: true,
    groupings: { group_by: [{ key: 'room_id' }, { key: 'sender' }] },
  })
  const { context } = found.results[0]
  expect(context.events_before.map((event: { event_id: string }) => event.event_id)).toEqual([sent[1]])
  expect(context.events_after.map((event: { event_id: string }) => event.event_id)).toEqual(sent.slice(3))
  expect(context.profile_info[alice.userId]).toEqual({ displayname: 'Alice' })
  expect(found.state[roomId].some((event: { type: string }) => event.type === 'm.room.create')).toBe(true)
  expect(found.groups.room_id[roomId].results).toEqual([sent[2]])
  expect(found.groups.sender[alice.userId].results).toEqual([sent[2]])
})

test('a group has pages of its own', async () => {
  const [one, other] = [await createRoom(alice), await createRoom(alice)]
  const inOne: string[] = []
  for (let i = 0; i < 3; i++) inOne.push(await sendText(alice, one, `pomegranate ${i}`))
  for (let i = 0; i < 2; i++) await sendText(alice, other, `pomegranate ${i}`)
  const criteria = { filter: { rooms: [one, other], limit: 3 }, groupings: { group_by: [{ key: 'room_id' }] } }
  const first = await search(alice, 'pomegranate', criteria)
  expect(first.groups.room_id[one].results).toEqual([inOne[2]])
  const next = await search(alice, 'pomegranate', criteria, first.groups.room_id[one].next_batch)
  expect(ids(next)).toEqual([inOne[1], inOne[0]])
})

test('only what one may see: not of rooms of others, nor before joining, nor after leaving, nor redacted, nor ignored', async () => {
  const visibility = (history_visibility: string) => ({
    initial_state: [{ type: 'm.room.history_visibility', state_key: '', content: { history_visibility } }],
  })
  const roomId = await createRoom(alice, visibility('joined'))
  await sendText(alice, roomId, 'quokka before')
  expect(ids(await search(bob, 'quokka'))).toEqual([])
  await bob.post(`${v3}/join/${encodeURIComponent(roomId)}`)
  const meanwhile = await sendText(alice, roomId, 'quokka meanwhile')
  const redacted = await sendText(alice, roomId, 'quokka redacted')
  expect(ids(await search(bob, 'quokka'))).toEqual([redacted, meanwhile])
  await alice.put(inRoom(roomId, `redact/${encodeURIComponent(redacted)}/1`))
  expect(ids(await search(bob, 'quokka'))).toEqual([meanwhile])
  expect((await search(bob, 'quokka', { order_by: 'rank' })).results).toHaveLength(1)
  await bob.post(inRoom(roomId, 'leave'))
  await sendText(alice, roomId, 'quokka afterwards')
  expect(ids(await search(bob, 'quokka'))).toEqual([meanwhile])
  const ignored = { ignored_users: { [alice.userId]: {} } }
  const path = `${v3}/user/${encodeURIComponent(bob.userId)}/account_data/m.ignored_user_list`
  await bob.put(path, ignored)
  expect(ids(await search(bob, 'quokka'))).toEqual([])
})

test('rooms are chosen by the filter', async () => {
  const [one, other] = [await createRoom(alice), await createRoom(alice)]
  const inOne = await sendText(alice, one, 'narwhal')
  const inOther = await sendText(alice, other, 'narwhal')
  expect(ids(await search(alice, 'narwhal')).sort()).toEqual([inOne, inOther].sort())
  expect(ids(await search(alice, 'narwhal', { filter: { not_rooms: [one] } }))).toEqual([inOther])
  expect(ids(await search(alice, 'narwhal', { filter: { senders: [bob.userId] } }))).toEqual([])
})

test('nonsense is refused', async () => {
  const criteria = (more: object) => ({ search_categories: { room_events: { search_term: 'x', ...more } } })
  expect((await alice.ask('POST', `${v3}/search`, {})).status).toBe(400)
  expect((await alice.ask('POST', `${v3}/search`, criteria({ order_by: 'mood' }))).status).toBe(400)
  expect((await alice.ask('POST', `${v3}/search`, criteria({ filter: { limit: 'x' } }))).status).toBe(400)
  expect((await alice.ask('POST', `${v3}/search?next_batch=abc`, criteria({}))).body.errcode).toBe('M_INVALID_PARAM')
  expect((await search(alice, '\0 …!')).results).toEqual([])
  expect((await search(alice, 'zebra\0crossing')).count).toBeGreaterThanOrEqual(0)
})
