import { beforeAll, describe, expect, inject, test } from 'vitest'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import {
  bodiesOf,
  type ClientEvent,
  createRoom,
  eventPath,
  historyOf,
  refusal,
  relating,
  roomPath,
  sendEvent,
  sendState,
  v1,
  v3,
} from '../harness/rooms.ts'

/**
 * World-readable rooms for users who are not in them.
 * https://spec.matrix.org/v1.19/client-server-api/#room-previews
 */
const { url } = inject('homeserver')
let alice: TestUser
let peeker: TestUser
let roomId: string
let root: string

beforeAll(async () => {
  ;[alice, peeker] = (await Promise.all([registerUser(url), registerUser(url)])) as [TestUser, TestUser]
  roomId = await createRoom(alice, { name: 'Open' })
  await sendText(alice, roomId, 'before it was open')
  const content = { history_visibility: 'world_readable' }
  await sendState(alice, roomId, { type: 'm.room.history_visibility', content })
  root = await sendText(alice, roomId, 'open')
  await sendEvent(alice, roomId, { ...relating('m.thread', root), body: 'in a thread' })
})

test('history, state and single events that are world-readable', async () => {
  expect(bodiesOf(await historyOf(peeker, roomId))).toEqual(['open', 'in a thread'])
  const state: ClientEvent[] = await peeker.get(roomPath(roomId, 'state'))
  expect(state.map(({ type }) => type)).toContain('m.room.name')
  expect(await peeker.get(roomPath(roomId, 'state/m.room.name/'))).toEqual({ name: 'Open' })
  const event = await peeker.get(roomPath(roomId, eventPath('event', root)))
  expect(event.unsigned['m.relations']['m.thread'].count).toBe(1)
  expect((await peeker.get(roomPath(roomId, eventPath('context', root)))).event.event_id).toBe(root)
  expect((await peeker.get(roomPath(roomId, eventPath('relations', root), v1))).chunk).toHaveLength(1)
  expect((await peeker.get(roomPath(roomId, 'threads', v1))).chunk).toHaveLength(1)
  expect((await peeker.get(roomPath(roomId, 'aliases'))).aliases).toEqual([])
})

test('the members', async () => {
  const { chunk } = await peeker.get(roomPath(roomId, 'members'))
  expect(chunk.map(({ state_key }: ClientEvent) => state_key)).toEqual([alice.userId])
})

test('nothing can be done there', async () => {
  const message = { msgtype: 'm.text', body: 'x' }
  const forbidden = [403, 'M_FORBIDDEN']
  expect(await refusal(peeker, 'PUT', roomPath(roomId, 'send/m.room.message/1'), message)).toEqual(forbidden)
  expect(await refusal(peeker, 'PUT', roomPath(roomId, 'state/m.room.name/'), { name: 'x' })).toEqual(forbidden)
  expect(await refusal(peeker, 'PUT', roomPath(roomId, `typing/${peeker.userId}`), { typing: true })).toEqual(forbidden)
  expect(await refusal(peeker, 'PUT', roomPath(roomId, `${eventPath('redact', root)}/1`))).toEqual(forbidden)
  expect(await refusal(peeker, 'GET', roomPath(roomId, 'joined_members'))).toEqual(forbidden)
})

test('once it is closed, what was open stays so, and no more is seen', async () => {
  const closed = await createRoom(alice)
  await sendState(alice, closed, {
    type: 'm.room.history_visibility',
    content: { history_visibility: 'world_readable' },
  })
  const open = await sendText(alice, closed, 'open')
  await sendState(alice, closed, { type: 'm.room.history_visibility', content: { history_visibility: 'joined' } })
  const shut = await sendText(alice, closed, 'shut')
  expect(await refusal(peeker, 'GET', roomPath(closed, 'state'))).toEqual([403, 'M_FORBIDDEN'])
  expect((await peeker.ask('GET', roomPath(closed, eventPath('event', shut)))).status).toBe(404)
  expect((await peeker.ask('GET', roomPath(closed, eventPath('event', open)))).status).toBeLessThan(500)
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3events */
describe('/events with room_id', () => {
  test('tells what happens in the room from now on', async () => {
    const { end } = await peeker.get(`${v3}/events?room_id=${encodeURIComponent(roomId)}&timeout=0`)
    const waiting = peeker.get(`${v3}/events?room_id=${encodeURIComponent(roomId)}&from=${end}&timeout=20000`)
    const eventId = await sendText(alice, roomId, 'news')
    const { chunk, start } = await waiting
    expect(start).toBe(end)
    expect(chunk.map(({ event_id }: ClientEvent) => event_id)).toEqual([eventId])
    expect(chunk[0].room_id).toBe(roomId)
  })

  test('is refused where the room is not world-readable', async () => {
    const shut = await createRoom(alice)
    const path = `${v3}/events?room_id=${encodeURIComponent(shut)}&timeout=0`
    expect(await refusal(peeker, 'GET', path)).toEqual([403, 'M_FORBIDDEN'])
  })
})

test('/rooms/…/initialSync', async () => {
  const room = await peeker.get(roomPath(roomId, 'initialSync?limit=5'))
  expect(room.room_id).toBe(roomId)
  expect(room.messages.chunk.length).toBeGreaterThan(0)
  expect(room.state.some(({ type }: ClientEvent) => type === 'm.room.create')).toBe(true)
})
