import { beforeAll, describe, expect, inject, test } from 'vitest'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import {
  bodiesOf,
  type ClientEvent,
  createRoom,
  eventPath,
  joinRoom,
  refusal,
  roomPath,
  sendState,
  sendTexts,
  v1,
} from '../harness/rooms.ts'

const { url } = inject('homeserver')
let alice: TestUser
let bob: TestUser
let roomId: string
let ids: string[]

beforeAll(async () => {
  ;[alice, bob] = (await Promise.all([registerUser(url), registerUser(url)])) as [TestUser, TestUser]
  roomId = await createRoom(alice, { name: 'early' })
  ids = await sendTexts(alice, roomId, ['0', '1', '2', '3', '4'])
  await joinRoom(roomId, bob)
  await sendState(alice, roomId, { type: 'm.room.name', content: { name: 'late' } })
  ids.push(...(await sendTexts(bob, roomId, ['5', '6', '7'])))
})

const context = (place: number, query = '') => alice.get(roomPath(roomId, eventPath('context', ids[place]!) + query))
const nameIn = (state: readonly ClientEvent[]) => state.find(({ type }) => type === 'm.room.name')?.content.name

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidcontexteventid */
describe('the context of an event', () => {
  test('is what came before and after, half of each', async () => {
    const found = await context(2, '?limit=4')
    expect(found.event.event_id).toBe(ids[2])
    expect(bodiesOf(found.events_before)).toEqual(['1', '0'])
    expect(bodiesOf(found.events_after)).toEqual(['3', '4'])
  })

  test('can be the event alone', async () => {
    const { event, events_before, events_after } = await context(2, '?limit=0')
    expect([event.event_id, events_before, events_after]).toEqual([ids[2], [], []])
  })

  test('has tokens from where to go on either way', async () => {
    const { start, end } = await context(2, '?limit=2')
    const before = await alice.get(roomPath(roomId, `messages?dir=b&limit=1&from=${start}`))
    const after = await alice.get(roomPath(roomId, `messages?dir=f&limit=1&from=${end}`))
    expect([bodiesOf(before.chunk), bodiesOf(after.chunk)]).toEqual([['0'], ['4']])
  })

  test('comes with the state at its last event', async () => {
    expect(nameIn((await context(1, '?limit=2')).state)).toBe('early')
    expect(nameIn((await context(7)).state)).toBe('late')
  })

  test('is filtered, and its members are loaded lazily', async () => {
    const filter = encodeURIComponent(JSON.stringify({ types: ['m.room.message'], senders: [bob.userId] }))
    const { events_before, events_after } = await context(4, `?limit=20&filter=${filter}`)
    expect(bodiesOf([...events_before, ...events_after])).toEqual(['5', '6', '7'])
    const lazy = encodeURIComponent('{"lazy_load_members":true}')
    const { state } = await context(2, `?limit=2&filter=${lazy}`)
    const members = state.filter(({ type }: ClientEvent) => type === 'm.room.member')
    expect(members.map(({ state_key }: ClientEvent) => state_key)).toEqual([alice.userId])
  })

  test('of unknown events and invalid ids', async () => {
    const path = (id: string, query = '') => roomPath(roomId, eventPath('context', id) + query)
    expect(await refusal(alice, 'GET', path('$unknown'))).toEqual([404, 'M_NOT_FOUND'])
    expect((await alice.ask('GET', path(ids[0]!, '?limit=many'))).status).toBe(400)
    expect((await alice.ask('GET', path(ids[0]!, '?limit=-1'))).status).toBe(400)
    expect((await alice.ask('GET', path(ids[0]!, '?filter=nonsense'))).status).toBe(400)
    const stranger = await registerUser(url)
    expect((await stranger.ask('GET', path(ids[0]!))).status).toBeGreaterThanOrEqual(403)
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidtimestamp_to_event */
describe('the event at a time', () => {
  const at = (ts: number | string, dir: string) => roomPath(roomId, `timestamp_to_event?ts=${ts}&dir=${dir}`, v1)

  test('is the next one, forth or back', async () => {
    const { event } = await context(3, '?limit=0')
    const before = await alice.get(at(event.origin_server_ts, 'b'))
    const after = await alice.get(at(event.origin_server_ts, 'f'))
    expect(before.origin_server_ts).toBeLessThanOrEqual(event.origin_server_ts)
    expect(after.origin_server_ts).toBeGreaterThanOrEqual(event.origin_server_ts)
    expect((await alice.get(at(0, 'f'))).origin_server_ts).toBeGreaterThan(0)
    expect((await alice.get(at(Date.now() + 60_000, 'b'))).event_id).toBe(ids.at(-1))
  })

  test('is not there beyond the ends', async () => {
    expect(await refusal(alice, 'GET', at(0, 'b'))).toEqual([404, 'M_NOT_FOUND'])
    expect(await refusal(alice, 'GET', at(Date.now() + 3_600_000, 'f'))).toEqual([404, 'M_NOT_FOUND'])
  })

  test('needs a time and a direction, and to be in the room', async () => {
    expect((await alice.ask('GET', at('noon', 'f'))).status).toBe(400)
    expect((await alice.ask('GET', at(0, 'sideways'))).status).toBe(400)
    expect((await alice.ask('GET', roomPath(roomId, 'timestamp_to_event?dir=f', v1))).status).toBe(400)
    const stranger = await registerUser(url)
    expect(await refusal(stranger, 'GET', at(0, 'f'))).toEqual([403, 'M_FORBIDDEN'])
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmessages */
test('a reader who has come to the live end of a room goes on from there later', async () => {
  const alice = await registerUser(url)
  const roomId = await createRoom(alice)
  await sendText(alice, roomId, 'one')
  const read = (from: string) => alice.get(roomPath(roomId, `messages?dir=f&limit=100${from && `&from=${from}`}`))
  const first = await read('')
  expect(bodiesOf(first.chunk)).toEqual(['one'])
  expect(first.end).toBeDefined()
  // A reader who paginates until there is no token ends, too.
  expect(await read(first.end)).toEqual({ start: first.end, chunk: [] })
  for (const said of ['two', 'three']) {
    await sendText(alice, roomId, said)
    const next = await read(first.end)
    expect(bodiesOf(next.chunk)).toEqual([said])
    first.end = next.end
  }
  expect((await alice.get(roomPath(roomId, 'messages?dir=b&limit=100'))).end).toBeUndefined()
})
