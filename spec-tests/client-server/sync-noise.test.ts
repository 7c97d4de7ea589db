import { beforeEach, describe, expect, inject, test } from 'vitest'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import {
  type ClientEvent,
  createRoom,
  eventPath,
  ignore,
  joinRoom,
  roomPath,
  sendEvent,
  sendState,
  sendTexts,
  v3,
} from '../harness/rooms.ts'

/** A sync contains nothing that its client has, and nothing that its filter drops. */
const { url } = inject('homeserver')
/** Two users in a room. */
type Scene = { alice: TestUser; bob: TestUser; roomId: string }

async function setScene(): Promise<Scene> {
  const [alice, bob] = (await Promise.all([registerUser(url), registerUser(url)])) as [TestUser, TestUser]
  const roomId = await createRoom(alice, { name: 'Tea' })
  await joinRoom(roomId, bob)
  return { alice, bob, roomId }
}

const sync = (user: TestUser, since: string, filter: object, more = '') =>
  user.get(`${v3}/sync?filter=${encodeURIComponent(JSON.stringify(filter))}${since && `&since=${since}`}${more}`)

/** Changes, and a filter that drops them. */
const FILTERED: Record<string, { happen(scene: Scene): Promise<unknown>; room: object | ((scene: Scene) => object) }> =
  {
    'a message': {
      happen: ({ bob, roomId }) => sendText(bob, roomId, 'x'),
      room: { timeline: { not_types: ['m.room.message'] } },
    },
    'a message, of a sender': {
      happen: ({ bob, roomId }) => sendText(bob, roomId, 'x'),
      room: { timeline: { senders: ['@nobody:x'] } },
    },
    'a message, without a timeline': {
      happen: ({ bob, roomId }) => sendText(bob, roomId, 'x'),
      room: { timeline: { types: [] } },
    },
    'a message with a URL': {
      happen: ({ bob, roomId }) => sendEvent(bob, roomId, { msgtype: 'm.image', body: 'x', url: 'mxc://a/b' }),
      room: { timeline: { contains_url: false } },
    },
    'many messages': {
      happen: ({ bob, roomId }) =>
        sendTexts(
          bob,
          roomId,
          Array.from({ length: 200 }, (_, i) => `${i}`),
        ),
      room: { timeline: { not_types: ['m.room.message'], limit: 1 } },
    },
    state: {
      happen: ({ alice, roomId }) => sendState(alice, roomId, { type: 'm.room.topic', content: { topic: 'x' } }),
      room: { timeline: { types: ['m.room.message'] }, state: { not_types: ['m.room.topic'] } },
    },
    'a change of a member’s name': {
      happen: ({ bob, roomId }) =>
        sendState(bob, roomId, {
          type: 'm.room.member',
          key: bob.userId,
          content: { membership: 'join', displayname: 'B' },
        }),
      room: { timeline: { types: ['m.room.message'] }, state: { not_types: ['m.room.member'] } },
    },
    typing: {
      happen: ({ bob, roomId }) =>
        bob.put(roomPath(roomId, `typing/${encodeURIComponent(bob.userId)}`), { typing: true, timeout: 9000 }),
      room: { ephemeral: { not_types: ['m.typing'] } },
    },
    'a receipt': {
      happen: async ({ bob, roomId }) => {
        const { chunk } = await bob.get(roomPath(roomId, 'messages?dir=b&limit=1'))
        await bob.post(roomPath(roomId, eventPath('receipt/m.read', chunk[0].event_id)))
      },
      room: { ephemeral: { types: [] } },
    },
    'account data of the room': {
      happen: ({ alice, roomId }) =>
        alice.put(
          `${v3}/user/${encodeURIComponent(alice.userId)}/rooms/${encodeURIComponent(roomId)}/account_data/x.y`,
          {},
        ),
      room: { account_data: { types: [] } },
    },
    'a room that is left out': {
      happen: ({ bob, roomId }) => sendText(bob, roomId, 'x'),
      room: ({ roomId }) => ({ not_rooms: [roomId] }),
    },
  }

describe('a filter that leaves out', () => {
  // Each waits for more than a second, during which the server has nothing to do.
  test.concurrent.each(Object.entries(FILTERED))('%s neither shows its room nor ends the waiting', async (_, row) => {
    const scene = await setScene()
    const { alice } = scene
    const room = typeof row.room === 'function' ? row.room(scene) : row.room
    const filter = { room, presence: { types: [] }, account_data: { types: [] } }
    const { next_batch } = await sync(alice, '', filter)
    const waiting = sync(alice, next_batch, filter, '&timeout=1500')
    const start = Date.now()
    await row.happen(scene)
    // After a long gap the client gets the latest changes.
    const body = await waiting
    expect(body.rooms).toBeUndefined()
    expect(Date.now() - start).toBeGreaterThan(1000)
    expect((await sync(alice, next_batch, filter)).rooms).toBeUndefined()
  })
})

let { alice, bob, roomId } = {} as Scene
beforeEach(async () => {
  ;({ alice, bob, roomId } = await setScene())
})

test('messages of ignored users, however many, neither show their room nor end the wait', async () => {
  await ignore(alice, bob)
  const filter = { room: { timeline: { limit: 1 } } }
  const { next_batch } = await sync(alice, '', filter)
  await sendTexts(
    bob,
    roomId,
    Array.from({ length: 200 }, (_, i) => `${i}`),
  )
  expect((await sync(alice, next_batch, filter)).rooms).toBeUndefined()
})

describe('lazy loading', () => {
  const LAZY = { room: { state: { lazy_load_members: true } } }
  const membersIn = (room: { state: { events: ClientEvent[] } } | undefined) =>
    (room?.state.events ?? []).flatMap(({ type, state_key }) => (type === 'm.room.member' ? state_key : []))

  /**
   * Counts how often an incremental sync includes the sender's member event. Each process knows only its own responses.
   */
  async function timesTold(sender: TestUser, since: string): Promise<number> {
    let token = since
    let times = 0
    for (let i = 0; i < 10; i++) {
      await sendText(sender, roomId, `${i}`)
      const answer = await sync(alice, token, LAZY)
      if (membersIn(answer.rooms.join[roomId]).includes(sender.userId)) times++
      token = answer.next_batch
    }
    return times
  }
  const MOST_PROCESSES = 3

  test('repeats a member of an initial sync at most once in each other process', async () => {
    const { next_batch } = await sync(alice, '', LAZY)
    expect(await timesTold(bob, next_batch)).toBeLessThan(MOST_PROCESSES)
  })

  test('sends a member that the client does not have', async () => {
    const { carol, since } = await quietCarol()
    await sendText(carol, roomId, 'one')
    const first = await sync(alice, since, LAZY)
    expect(membersIn(first.rooms.join[roomId])).toEqual([carol.userId])
    // A lost response is repeated.
    expect(membersIn((await sync(alice, since, LAZY)).rooms.join[roomId])).toEqual([carol.userId])
    expect(await timesTold(carol, first.next_batch)).toBeLessThan(MOST_PROCESSES)
  })

  test('sends redundant members to a client that requests them', async () => {
    const { carol, since } = await quietCarol()
    const filter = { room: { state: { lazy_load_members: true, include_redundant_members: true } } }
    await sendText(carol, roomId, 'one')
    const first = await sync(alice, since, filter)
    await sendText(carol, roomId, 'two')
    const second = await sync(alice, first.next_batch, filter)
    for (const { rooms } of [first, second]) expect(membersIn(rooms.join[roomId])).toEqual([carol.userId])
  })

  test('sends all members again to a client that starts from scratch, and to another device', async () => {
    const { carol, since } = await quietCarol()
    await sendText(carol, roomId, 'one')
    await sync(alice, since, LAZY)
    const limit = { room: { state: { lazy_load_members: true }, timeline: { limit: 1 } } }
    expect(membersIn((await sync(alice, '', limit)).rooms.join[roomId])).toContain(carol.userId)
  })

  /** Creates a member who joined long before and is unknown to Alice's client. */
  async function quietCarol(): Promise<{ carol: TestUser; since: string }> {
    const carol = await registerUser(url)
    await joinRoom(roomId, carol)
    await sendTexts(
      bob,
      roomId,
      Array.from({ length: 12 }, (_, i) => `${i}`),
    )
    return { carol, since: (await sync(alice, '', LAZY)).next_batch }
  }
})
