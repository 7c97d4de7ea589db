import { expect, inject, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import type { SlidingBody } from '../harness/sliding-client.ts'
import { openSlidingSocket } from '../harness/sliding-socket.ts'

/** docs/websocket.md */
const { url } = inject('homeserver')
const v3 = '/_matrix/client/v3'
const PATH = '/_matrix/client/unstable/hearth.sliding_sync_websocket'
const LIST = { range: [0, 9], timeline_limit: 10, required_state: { include: [{ type: 'm.room.name' }] } }
const ALL = { lists: { all: LIST } }

const createRoom = async (user: TestUser): Promise<string> =>
  (await user.post(`${v3}/createRoom`, { preset: 'public_chat' })).room_id
const bodies = (body: SlidingBody, roomId: string): string[] =>
  (body.rooms[roomId]?.timeline ?? []).flatMap((event: { content: { body?: string } }) => event.content.body ?? [])

function open(user: TestUser, options: Parameters<typeof openSlidingSocket>[1] = {}) {
  const socket = openSlidingSocket(user, options)
  onTestFinished(() => socket.close())
  return socket
}

test.each(['header', 'message'] as const)(
  'messages come by themselves to who says in a %s who it is',
  async (authenticate) => {
    const alice = await registerUser(url)
    const roomId = await createRoom(alice)
    const socket = open(alice, { authenticate })
    socket.request(ALL)
    const first = await socket.next()
    expect(first).toMatchObject({
      lists: { all: { count: 1 } },
      rooms: { [roomId]: { initial: true, membership: 'join' } },
    })
    const told: string[] = []
    for (const text of ['one', 'two', 'three']) {
      await sendText(alice, roomId, text)
      told.push(...bodies(await socket.next(), roomId))
    }
    expect(told).toEqual(['one', 'two', 'three'])
  },
)

test('after a break it goes on where it was, and loses nothing', async () => {
  const alice = await registerUser(url)
  const roomId = await createRoom(alice)
  const socket = open(alice)
  socket.request(ALL)
  await socket.next()
  const told: string[] = []
  const sending = (async () => {
    for (let i = 0; i < 12; i++) await sendText(alice, roomId, `${i}`)
  })()
  while (told.length < 12) {
    told.push(...bodies(await socket.next(), roomId))
    if (told.length % 3 === 1) socket.drop()
  }
  await sending
  expect(told).toEqual(Array.from({ length: 12 }, (_, i) => `${i}`))
})

test('asking for something else is answered at once', async () => {
  const alice = await registerUser(url)
  const roomId = await createRoom(alice)
  for (const text of ['one', 'two']) await sendText(alice, roomId, text)
  const socket = open(alice)
  socket.request({ lists: { all: { ...LIST, timeline_limit: 1 } } })
  expect(bodies(await socket.next(), roomId)).toEqual(['two'])
  socket.request(ALL)
  const more = await socket.next()
  expect(more.rooms[roomId].expanded_timeline).toBe(true)
  expect(bodies(more, roomId)).toEqual(['one', 'two'])
})

test('an answer that was on its way when the request changed is sent again, with the request that it answers', async () => {
  const alice = await registerUser(url)
  const roomId = await createRoom(alice)
  const headers = { Authorization: `Bearer ${alice.accessToken}` }
  const raw = new WebSocket(url.replace(/^http/, 'ws') + PATH, { headers })
  onTestFinished(() => raw.close())
  const heard: { request: number; response: SlidingBody }[] = []
  raw.on('message', (data) => heard.push(JSON.parse(String(data))))
  await new Promise((resolve) => raw.on('open', resolve))
  const ask = (request: object) => raw.send(JSON.stringify({ type: 'request', request }))
  ask(ALL)
  await pollUntil('the first answer comes', () => heard.length === 1)
  const { pos } = heard[0]!.response
  raw.send(JSON.stringify({ type: 'ack', pos }))
  await sendText(alice, roomId, 'on its way')
  await pollUntil('the message comes', () => heard.length === 2)
  ask({ lists: { all: { ...LIST, timeline_limit: 9 } }, pos })
  await pollUntil('the next answer comes', () => heard.length === 3)
  expect(heard.map(({ request }) => request)).toEqual([1, 1, 2])
  expect(heard.slice(1).map(({ response }) => bodies(response, roomId))).toEqual([['on its way'], ['on its way']])
})

test('to-device messages are sent once each', async () => {
  const alice = await registerUser(url)
  const socket = open(alice)
  socket.request({ extensions: { to_device: { enabled: true } } })
  await socket.next()
  const texts: string[] = []
  for (const text of ['one', 'two']) {
    const messages = { [alice.userId]: { [alice.deviceId]: { text } } }
    await alice.put(`${v3}/sendToDevice/org.test/${text}`, { messages })
    const { events } = (await socket.next()).extensions.to_device
    texts.push(...events.map(({ content }: { content: { text: string } }) => content.text))
  }
  expect(texts).toEqual(['one', 'two'])
})

test('a client that does not acknowledge gets nothing more', async () => {
  const alice = await registerUser(url)
  const roomId = await createRoom(alice)
  const { raw, heard } = rawSocket(alice)
  const heardCount = (count: number) => expect.poll(() => heard.length, { timeout: 20_000 }).toBe(count)
  await new Promise((resolve) => raw.once('open', resolve))
  raw.send(JSON.stringify({ type: 'request', request: ALL }))
  await heardCount(1)
  for (const text of ['one', 'two']) await sendText(alice, roomId, text)
  raw.send(JSON.stringify({ type: 'ack', pos: heard[0]!.response.pos }))
  await heardCount(2)
  expect(bodies(heard[1]!.response, roomId)).toEqual(['one', 'two'])
  await sendText(alice, roomId, 'three')
  raw.send(JSON.stringify({ type: 'ack', pos: heard[1]!.response.pos }))
  await heardCount(3)
  expect(bodies(heard[2]!.response, roomId)).toEqual(['three'])
})

/** A socket that need not follow the protocol. */
function rawSocket(user?: TestUser) {
  const headers = user ? { Authorization: `Bearer ${user.accessToken}` } : {}
  const raw = new WebSocket(url.replace(/^http/, 'ws') + PATH, { headers })
  const heard: { type: string; errcode?: string; response: SlidingBody }[] = []
  raw.on('message', (data) => heard.push(JSON.parse(String(data))))
  raw.on('error', () => {})
  onTestFinished(() => raw.terminate())
  const closed = new Promise<number>((resolve) => raw.once('close', resolve))
  return { raw, heard, closed }
}

test('a connection without a token, or with a wrong one, is refused', async () => {
  const stranger = { ...(await registerUser(url)), accessToken: 'nonsense' }
  for (const authenticate of ['header', 'message', 'not'] as const) {
    const socket = open(stranger, { authenticate })
    socket.request(ALL)
    await expect(socket.next()).rejects.toThrow(authenticate === 'not' ? 'M_MISSING_TOKEN' : 'M_UNKNOWN_TOKEN')
  }
})

const BAD = [
  '{',
  '[]',
  '"text"',
  '{"type":"what"}',
  '{"type":"request","request":{"lists":[]}}',
  '{"type":"ack","pos":"x"}',
]
test.each(BAD)('%s is refused', async (text) => {
  const { raw, heard, closed } = rawSocket(await registerUser(url))
  await new Promise((resolve) => raw.once('open', resolve))
  raw.send(text)
  expect(await closed).toBe(4400)
  expect(heard).toMatchObject([{ type: 'error' }])
  expect(['M_NOT_JSON', 'M_BAD_JSON']).toContain(heard[0]!.errcode)
})

test('an unknown position ends the conversation, not the connection', async () => {
  const alice = await registerUser(url)
  const { raw, heard } = rawSocket(alice)
  await new Promise((resolve) => raw.once('open', resolve))
  raw.send(JSON.stringify({ type: 'request', request: { ...ALL, pos: 'l1_1_1_1' } }))
  await expect.poll(() => heard.length, { timeout: 20_000 }).toBe(1)
  expect(heard[0]).toMatchObject({ type: 'error', errcode: 'M_UNKNOWN_POS' })
  raw.send(JSON.stringify({ type: 'request', request: ALL }))
  await expect.poll(() => heard.length, { timeout: 20_000 }).toBe(2)
  expect(heard[1]!.type).toBe('response')
})

test('a connection goes on with another token of its device only', async () => {
  const [alice, mallory] = await Promise.all([registerUser(url), registerUser(url)])
  const socket = new WebSocket(url.replace(/^http/, 'ws') + PATH)
  onTestFinished(() => socket.close())
  const errors: string[] = []
  socket.on('message', (data) => errors.push(...[JSON.parse(String(data)).errcode ?? []].flat()))
  const closed = new Promise((resolve) => socket.on('close', resolve))
  await new Promise((resolve) => socket.on('open', resolve))
  for (const { accessToken } of [alice, alice, mallory])
    socket.send(JSON.stringify({ type: 'authenticate', access_token: accessToken }))
  await closed
  expect(errors).toEqual(['M_FORBIDDEN'])
})
