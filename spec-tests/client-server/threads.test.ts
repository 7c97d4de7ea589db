import { beforeEach, describe, expect, inject, test } from 'vitest'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import {
  type ClientEvent,
  createRoom,
  eventPath,
  ignore,
  joinRoom,
  refusal,
  relating,
  roomOfTwo,
  roomPath,
  sendEvent,
  syncedRoom,
  v1,
} from '../harness/rooms.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#threading */
const { url } = inject('homeserver')
let alice: TestUser
let bob: TestUser
let roomId: string

beforeEach(async () => {
  ;({ alice, bob, roomId } = await roomOfTwo(url))
})

const reply = (user: TestUser, root: string, more: object = {}) =>
  sendEvent(user, roomId, relating('m.thread', root, more))
const threads = (query = '', user = alice) => user.get(roomPath(roomId, `threads${query}`, v1))
const idsOf = (chunk: readonly ClientEvent[]) => chunk.map(({ event_id }) => event_id)

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidthreads */
describe('the list of threads', () => {
  test('is by the newest event of each', async () => {
    const [first, second] = [await sendText(alice, roomId, 'first'), await sendText(bob, roomId, 'second')]
    await reply(alice, first)
    await reply(alice, second)
    expect(idsOf((await threads()).chunk)).toEqual([second, first])
    await reply(bob, first)
    const { chunk } = await threads()
    expect(idsOf(chunk)).toEqual([first, second])
    expect(chunk[0].unsigned['m.relations']['m.thread']).toMatchObject({
      count: 2,
      current_user_participated: true,
      latest_event: { sender: bob.userId, content: { body: 'related' } },
    })
  })

  test('can be of those in which one has part', async () => {
    const [own, replied, foreign] = [
      await sendText(bob, roomId, 'own'),
      await sendText(alice, roomId, 'replied'),
      await sendText(alice, roomId, 'foreign'),
    ]
    await reply(alice, own)
    await reply(bob, replied)
    await reply(alice, foreign)
    expect(idsOf((await threads('?include=participated', bob)).chunk)).toEqual([replied, own])
    expect(idsOf((await threads('?include=all', bob)).chunk)).toEqual([foreign, replied, own])
    expect((await bob.ask('GET', roomPath(roomId, 'threads?include=some', v1))).status).toBe(400)
  })

  test('comes in pages', async () => {
    const roots: string[] = []
    for (let i = 0; i < 5; i++) {
      roots.push(await sendText(alice, roomId, `${i}`))
      await reply(alice, roots[i]!)
    }
    const seen: string[] = []
    let from = ''
    do {
      const page = await threads(`?limit=2${from && `&from=${from}`}`)
      seen.push(...idsOf(page.chunk))
      from = page.next_batch
    } while (from)
    expect(seen).toEqual(roots.toReversed())
    expect(await refusal(alice, 'GET', roomPath(roomId, 'threads?from=nonsense', v1))).toEqual([400, 'M_INVALID_PARAM'])
  })

  test('leaves out what ignored users say; what they started is empty', async () => {
    const [root, foreign] = [await sendText(alice, roomId, 'root'), await sendText(bob, roomId, 'foreign')]
    await reply(alice, foreign)
    await reply(alice, root)
    await reply(bob, root)
    await ignore(alice, bob)
    const { chunk } = await threads()
    expect(idsOf(chunk)).toEqual([root, foreign])
    expect(chunk[1].content).toEqual({})
    expect(chunk[0].unsigned['m.relations']['m.thread']).toMatchObject({
      count: 1,
      latest_event: { sender: alice.userId },
    })
  })

  test('has none without replies, and is nobody else’s', async () => {
    const root = await sendText(alice, roomId, 'root')
    const only = await reply(alice, root)
    await alice.put(roomPath(roomId, `${eventPath('redact', only)}/1`))
    expect((await threads()).chunk).toEqual([])
    const stranger = await registerUser(url)
    expect(await refusal(stranger, 'GET', roomPath(roomId, 'threads', v1))).toEqual([403, 'M_FORBIDDEN'])
  })
})

/**
 * https://spec.matrix.org/v1.19/client-server-api/#server-behaviour-25: an event that relates to another cannot be a
 * thread root.
 */
test.each(['m.thread', 'm.replace', 'm.reference', 'm.annotation'])(
  'no thread starts at an event with a relation of type %s',
  async (type) => {
    const target = await sendText(alice, roomId, 'target')
    const content = { ...relating(type, target, { key: 'k' }), 'm.new_content': { msgtype: 'm.text', body: 'x' } }
    const child = await sendEvent(alice, roomId, content)
    const path = roomPath(roomId, 'send/m.room.message/nested')
    expect(await refusal(alice, 'PUT', path, relating('m.thread', child))).toEqual([400, 'M_UNKNOWN'])
  },
)

test('one can start at an event with a reply in it', async () => {
  const target = await sendText(alice, roomId, 'target')
  const content = { msgtype: 'm.text', body: 'x', 'm.relates_to': { 'm.in_reply_to': { event_id: target } } }
  const answer = await sendEvent(bob, roomId, content)
  await reply(alice, answer)
  expect(idsOf((await threads()).chunk)).toEqual([answer])
})

/** https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications */
describe('counts and receipts', () => {
  const THREADS = `filter=${encodeURIComponent('{"room":{"timeline":{"unread_thread_notifications":true}}}')}`
  const unread = async () => {
    const { unread_notifications, unread_thread_notifications = {} } = await syncedRoom(bob, roomId, THREADS)
    return [unread_notifications.notification_count, unread_thread_notifications]
  }
  const read = (eventId: string, body: object) => bob.post(roomPath(roomId, eventPath('receipt/m.read', eventId)), body)

  test('an event that relates to an event in a thread is in the thread', async () => {
    const root = await sendText(alice, roomId, 'root')
    const inThread = await reply(alice, root)
    await sendEvent(alice, roomId, relating('m.reference', inThread))
    const [main, inThreads] = await unread()
    expect([main, inThreads[root].notification_count]).toEqual([1, 2])
  })

  test('a receipt without a thread reads them all', async () => {
    const root = await sendText(alice, roomId, 'root')
    const last = await reply(alice, root)
    await sendText(alice, roomId, 'later')
    await read(last, {})
    expect(await unread()).toEqual([1, {}])
  })

  test('a receipt of one thread reads that one', async () => {
    const roots = [await sendText(alice, roomId, 'one'), await sendText(alice, roomId, 'two')]
    const replies = [await reply(alice, roots[0]!), await reply(alice, roots[1]!)]
    await read(replies[1]!, { thread_id: roots[1] })
    const [main, inThreads] = await unread()
    expect([main, Object.keys(inThreads)]).toEqual([2, [roots[0]]])
  })

  test('an event of one thread cannot be read in another', async () => {
    const roots = [await sendText(alice, roomId, 'one'), await sendText(alice, roomId, 'two')]
    const inOne = await reply(alice, roots[0]!)
    for (const thread_id of [roots[1], 'main']) {
      const path = roomPath(roomId, eventPath('receipt/m.read', inOne))
      expect(await refusal(bob, 'POST', path, { thread_id })).toEqual([400, 'M_INVALID_PARAM'])
    }
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#forming-relationships-between-events */
describe('a relation to an event of another room', () => {
  let elsewhere: string
  beforeEach(async () => {
    elsewhere = await createRoom(alice)
    await joinRoom(elsewhere, bob)
  })

  const counts = async (user: TestUser) => {
    const filter = encodeURIComponent('{"room":{"timeline":{"unread_thread_notifications":true}}}')
    const { unread_notifications, unread_thread_notifications } = await syncedRoom(user, roomId, `filter=${filter}`)
    return { main: unread_notifications.notification_count, threads: unread_thread_notifications }
  }

  test('is no thread: of unread counts, of receipts, of the list of threads', async () => {
    const root = await sendText(alice, elsewhere, 'root')
    const stray = await reply(alice, root)
    const edit = await sendEvent(alice, roomId, relating('m.replace', stray))
    expect(await counts(bob)).toEqual({ main: 1, threads: undefined })
    expect((await threads()).chunk).toEqual([])
    expect((await alice.get(roomPath(elsewhere, 'threads', v1))).chunk).toEqual([])
    for (const eventId of [stray, edit]) {
      const path = roomPath(roomId, eventPath('receipt/m.read', eventId))
      expect((await refusal(bob, 'POST', path, { thread_id: root }))[0]).toBe(400)
      await bob.post(path, { thread_id: 'main' })
    }
    expect(await counts(bob)).toEqual({ main: 0, threads: undefined })
  })

  test('is no edit: it counts as unread, and has no effect on what it names', async () => {
    const there = await sendText(alice, elsewhere, 'as it was')
    const here = await sendText(alice, roomId, 'as it was')
    const edit = { 'm.new_content': { msgtype: 'm.text', body: 'changed' } }
    await sendEvent(alice, roomId, relating('m.replace', here, edit))
    expect(await counts(bob)).toEqual({ main: 1, threads: undefined })
    await sendEvent(alice, roomId, relating('m.replace', there, edit))
    expect(await counts(bob)).toEqual({ main: 2, threads: undefined })
    const { unsigned = {} } = await alice.get(roomPath(elsewhere, eventPath('event', there)))
    expect(unsigned['m.relations']).toBeUndefined()
  })

  test('is none to filters by types of relations (MSC3874)', async () => {
    const [root, there] = [await sendText(alice, roomId, 'root'), await sendText(alice, elsewhere, 'root')]
    const [inThread, stray] = [await reply(alice, root), await reply(alice, there)]
    const unknown = await reply(alice, '$not-here-yet')
    const found = async (key: string) => {
      const filter = encodeURIComponent(JSON.stringify({ types: ['m.room.message'], [key]: ['m.thread'] }))
      return idsOf((await bob.get(roomPath(roomId, `messages?dir=f&filter=${filter}`))).chunk)
    }
    expect(await found('org.matrix.msc3874.rel_types')).toEqual([inThread, unknown])
    expect(await found('org.matrix.msc3874.not_rel_types')).toEqual([root, stray])
  })

  test('does not keep an event from being the root of a thread', async () => {
    const stray = await reply(alice, await sendText(alice, elsewhere, 'root'))
    const answer = await reply(bob, stray)
    expect(idsOf((await threads()).chunk)).toEqual([stray])
    const { unsigned } = await alice.get(roomPath(roomId, eventPath('event', stray)))
    expect(unsigned['m.relations']['m.thread']).toMatchObject({ count: 1, latest_event: { event_id: answer } })
  })

  test('keeps nobody from reacting where the event is', async () => {
    const there = await sendText(alice, elsewhere, 'like this')
    const like = { 'm.relates_to': { rel_type: 'm.annotation', event_id: there, key: '👍' } }
    await sendEvent(bob, roomId, like, 'm.reaction')
    await sendEvent(bob, elsewhere, like, 'm.reaction')
    const { chunk } = await alice.get(roomPath(elsewhere, eventPath('relations', there), v1))
    expect(chunk).toHaveLength(1)
    expect((await alice.get(roomPath(elsewhere, eventPath('event', there)))).unsigned['m.relations']).toBeUndefined()
  })
})
