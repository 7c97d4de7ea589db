import { expect, inject, onTestFinished, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import { type SlidingBody, slidingClient } from '../harness/sliding-client.ts'
import { openSlidingSocket } from '../harness/sliding-socket.ts'

/**
 * https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/4186-simplified-sliding-sync.md#lazy-loaded-memberships
 */
const { url } = inject('homeserver')
const v3 = '/_matrix/client/v3'
const LIMIT = 3
const FORMS = {
  unstable: {
    lists: { all: { ranges: [[0, 9]], timeline_limit: LIMIT, required_state: [['m.room.member', '$LAZY']] } },
  },
  stable: { lists: { all: { range: [0, 9], timeline_limit: LIMIT, required_state: { lazy_members: true } } } },
}

async function createScene() {
  const [alice, bob, carol] = [await registerUser(url), await registerUser(url), await registerUser(url)]
  const { room_id: roomId } = await alice.post(`${v3}/createRoom`, { preset: 'public_chat' })
  await bob.post(`${v3}/rooms/${roomId}/join`)
  await carol.post(`${v3}/rooms/${roomId}/join`)
  for (let i = 0; i < LIMIT; i++) await sendText(carol, roomId, 'before')
  const membersIn = (body: SlidingBody): string[] =>
    (body.rooms[roomId]?.required_state ?? []).map(({ state_key }: { state_key: string }) => state_key)
  const hasEvents = (body: SlidingBody) => body.rooms[roomId]?.timeline?.length > 0
  return { alice, bob, carol, roomId, membersIn, hasEvents }
}

test.each(['unstable', 'stable'] as const)('members are sent once, and again after a gap (%s)', async (form) => {
  const { alice, bob, carol, roomId, membersIn, hasEvents } = await createScene()
  const client = slidingClient(bob, { form })
  expect(membersIn(await client.sync(FORMS[form]))).toEqual([carol.userId])
  const afterSending = async (user: TestUser) => {
    await sendText(user, roomId, 'hello')
    return membersIn(await client.until(hasEvents))
  }
  expect(await afterSending(alice)).toEqual([alice.userId])
  expect(await afterSending(alice)).toEqual([])
  expect(await afterSending(carol)).toEqual([])
  await alice.put(`${v3}/profile/${alice.userId}/displayname`, { displayname: 'Alice the second' })
  expect(membersIn(await client.until(hasEvents))).toEqual([alice.userId])
  expect(await afterSending(alice)).toEqual([])
  for (let i = 0; i < LIMIT + 2; i++) await sendText(alice, roomId, `${i}`)
  const gap = await client.sync()
  expect(gap.rooms[roomId].limited).toBe(true)
  expect(membersIn(gap)).toEqual([alice.userId])
  expect(await afterSending(alice)).toEqual([])
  expect(await afterSending(carol)).toEqual([carol.userId])
})

test('another connection gets its own members', async () => {
  const { alice, bob, roomId, membersIn, hasEvents } = await createScene()
  const clients = ['one', 'two'].map((connId) => slidingClient(bob, { connId }))
  for (const client of clients) await client.sync(FORMS.unstable)
  for (const text of ['first', 'second']) {
    await sendText(alice, roomId, text)
    for (const client of clients)
      expect(membersIn(await client.until(hasEvents))).toEqual(text === 'first' ? [alice.userId] : [])
  }
})

test('members of a lost answer are sent again, by any process', async () => {
  const { alice, bob, roomId, membersIn, hasEvents } = await createScene()
  const client = slidingClient(bob)
  const { pos } = await client.sync(FORMS.unstable)
  await sendText(alice, roomId, 'hello')
  expect(membersIn(await client.until(hasEvents))).toEqual([alice.userId])
  for (let i = 0; i < 4; i++) expect(membersIn(await client.sync(undefined, { pos }))).toEqual([alice.userId])
  await sendText(alice, roomId, 'again')
  expect(membersIn(await client.until(hasEvents))).toEqual([])
})

test('over a WebSocket, an answer that was lost with the connection is sent again, members included', async () => {
  const { alice, bob, roomId, membersIn } = await createScene()
  const socket = openSlidingSocket(bob)
  onTestFinished(() => socket.close())
  socket.request(FORMS.stable)
  await socket.next()
  await sendText(alice, roomId, 'hello')
  await pollUntil('the response is there, and not acknowledged', () => socket.hasNext())
  socket.drop()
  const resumed = await socket.next()
  expect(membersIn(resumed)).toEqual([alice.userId])
  expect(resumed.rooms[roomId].timeline.map((event: { content: object }) => event.content)).toMatchObject([
    { body: 'hello' },
  ])
  await sendText(alice, roomId, 'again')
  expect(membersIn(await socket.next())).toEqual([])
})
