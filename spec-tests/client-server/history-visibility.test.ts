import { beforeAll, describe, expect, inject, test } from 'vitest'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import {
  bodiesOf,
  type ClientEvent,
  createRoom,
  eventPath,
  historyOf,
  joinRoom,
  refusal,
  relating,
  roomPath,
  sendEvent,
  sendState,
  v1,
  v3,
} from '../harness/rooms.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility */
const { url } = inject('homeserver')
const VISIBILITIES = ['world_readable', 'shared', 'invited', 'joined'] as const
type Visibility = (typeof VISIBILITIES)[number]
const STAGES = ['before', 'invited', 'joined', 'left', 'rejoined'] as const
type Stage = (typeof STAGES)[number]

const setVisibility = (user: TestUser, roomId: string, history_visibility: Visibility) =>
  sendState(user, roomId, { type: 'm.room.history_visibility', content: { history_visibility } })

type Past = { alice: TestUser; bob: TestUser; stranger: TestUser; roomId: string; ids: Record<Stage, string> }

/**
 * Creates a room with messages from before Bob's invite, while he was invited, while he was joined, after he left, and
 * so on up to `stage`.
 */
async function roomWithPast(visibility: Visibility, stage: Stage): Promise<Past> {
  const [alice, bob, stranger] = (await Promise.all([1, 2, 3].map(() => registerUser(url)))) as [
    TestUser,
    TestUser,
    TestUser,
  ]
  const roomId = await createRoom(alice)
  await setVisibility(alice, roomId, visibility)
  const enter: Record<Stage, () => Promise<unknown>> = {
    before: async () => {},
    invited: () => alice.post(roomPath(roomId, 'invite'), { user_id: bob.userId }),
    joined: () => joinRoom(roomId, bob),
    left: () => bob.post(roomPath(roomId, 'leave')),
    rejoined: () => joinRoom(roomId, bob),
  }
  const ids: Partial<Record<Stage, string>> = {}
  for (const each of STAGES.slice(0, STAGES.indexOf(stage) + 1)) {
    await enter[each]()
    ids[each] = await sendText(alice, roomId, each)
  }
  return { alice, bob, stranger, roomId, ids: ids as Record<Stage, string> }
}

/** The messages that Bob may read at each stage. */
const READABLE: [Visibility, Stage, Stage[]][] = [
  ['shared', 'joined', ['before', 'invited', 'joined']],
  ['shared', 'left', ['before', 'invited', 'joined']],
  ['shared', 'rejoined', ['before', 'invited', 'joined', 'left', 'rejoined']],
  ['invited', 'joined', ['invited', 'joined']],
  ['invited', 'left', ['invited', 'joined']],
  ['invited', 'rejoined', ['invited', 'joined', 'rejoined']],
  ['joined', 'joined', ['joined']],
  ['joined', 'left', ['joined']],
  ['joined', 'rejoined', ['joined', 'rejoined']],
  ['world_readable', 'before', ['before']],
  ['world_readable', 'invited', ['before', 'invited']],
  ['world_readable', 'joined', ['before', 'invited', 'joined']],
  ['world_readable', 'left', ['before', 'invited', 'joined', 'left']],
  ['world_readable', 'rejoined', ['before', 'invited', 'joined', 'left', 'rejoined']],
]

describe.each(READABLE)('%s, when he has %s', (visibility, stage, readable) => {
  let past: Past
  beforeAll(async () => {
    past = await roomWithPast(visibility, stage)
  })

  test('/messages', async () => {
    expect(bodiesOf(await historyOf(past.bob, past.roomId))).toEqual(readable)
  })

  test('/event and /context', async () => {
    for (const [said, id] of Object.entries(past.ids)) {
      const isReadable = readable.includes(said as Stage)
      for (const path of [eventPath('event', id), eventPath('context', id)]) {
        const { status } = await past.bob.ask('GET', roomPath(past.roomId, path))
        expect([path, said, status]).toEqual([path, said, isReadable ? 200 : 404])
      }
    }
    const last = past.ids[readable.at(-1)!]
    const { events_before, events_after } = await past.bob.get(
      roomPath(past.roomId, `${eventPath('context', last)}?limit=100`),
    )
    expect(bodiesOf([...events_before].reverse())).toEqual(readable.slice(0, -1))
    expect(bodiesOf(events_after)).toEqual([])
  })

  test('/timestamp_to_event', async () => {
    const { event_id } = await past.bob.get(
      roomPath(past.roomId, `timestamp_to_event?dir=b&ts=${Date.now() + 1000}`, v1),
    )
    const found = await past.bob.get(roomPath(past.roomId, eventPath('event', event_id)))
    expect(Object.values(past.ids).indexOf(event_id)).toBeLessThan(readable.length === 0 ? 0 : 5)
    expect(found.event_id).toBe(event_id)
  })
})

describe.each(['shared', 'invited', 'joined'] as const)('%s', (visibility) => {
  test('is for nobody who never was in the room', async () => {
    const { bob, stranger, roomId, ids } = await roomWithPast(visibility, 'invited')
    for (const user of visibility === 'invited' ? [stranger] : [bob, stranger]) {
      expect(await refusal(user, 'GET', roomPath(roomId, 'messages?dir=b'))).toEqual([403, 'M_FORBIDDEN'])
      expect(await refusal(user, 'GET', roomPath(roomId, 'state'))).toEqual([403, 'M_FORBIDDEN'])
      expect((await user.ask('GET', roomPath(roomId, eventPath('event', ids.before)))).status).toBe(404)
      expect((await user.ask('GET', roomPath(roomId, eventPath('context', ids.before)))).status).toBeGreaterThan(400)
    }
  })

  test('hides from searches, relations and threads what it hides elsewhere', async () => {
    const [alice, bob] = (await Promise.all([registerUser(url), registerUser(url)])) as [TestUser, TestUser]
    const roomId = await createRoom(alice)
    await setVisibility(alice, roomId, visibility)
    const root = await sendText(alice, roomId, 'the walrus root')
    await sendEvent(alice, roomId, { ...relating('m.thread', root), body: 'the walrus early' })
    await joinRoom(roomId, bob)
    const late = await sendEvent(alice, roomId, { ...relating('m.thread', root), body: 'the walrus late' })
    const search = await bob.post(`${v3}/search`, {
      search_categories: { room_events: { search_term: 'walrus', filter: { rooms: [roomId] }, order_by: 'recent' } },
    })
    const found = search.search_categories.room_events.results.map(({ result }: ClientEvent) => result.content.body)
    const isShared = visibility === 'shared'
    expect(found).toEqual(isShared ? ['the walrus late', 'the walrus early', 'the walrus root'] : ['the walrus late'])
    const threads = await bob.get(roomPath(roomId, 'threads', v1))
    expect(threads.chunk.map(({ event_id }: ClientEvent) => event_id)).toEqual(isShared ? [root] : [])
    const relations = await bob.ask('GET', roomPath(roomId, eventPath('relations', root), v1))
    if (isShared) expect(relations.body.chunk).toHaveLength(2)
    else
      expect(relations.status === 404 || relations.body.chunk.every((e: ClientEvent) => e.event_id === late)).toBe(true)
  })
})

test('an event’s visibility is what held when it was sent', async () => {
  const [alice, bob] = (await Promise.all([registerUser(url), registerUser(url)])) as [TestUser, TestUser]
  const roomId = await createRoom(alice)
  await setVisibility(alice, roomId, 'shared')
  await sendText(alice, roomId, 'shared')
  const closing = await setVisibility(alice, roomId, 'joined')
  await sendText(alice, roomId, 'joined')
  const opening = await setVisibility(alice, roomId, 'shared')
  await sendText(alice, roomId, 'shared again')
  await joinRoom(roomId, bob)
  const history = await historyOf(bob, roomId)
  expect(bodiesOf(history)).toEqual(['shared', 'shared again'])
  // A change of the visibility is visible to users who may see the events before or after it.
  const ids = history.map(({ event_id }) => event_id)
  expect([ids.includes(closing), ids.includes(opening)]).toEqual([true, true])
})

test('one’s own coming and going is seen', async () => {
  const { alice, bob, roomId } = await roomWithPast('joined', 'left')
  await alice.post(roomPath(roomId, 'ban'), { user_id: bob.userId })
  const own = (await historyOf(bob, roomId)).filter(({ state_key }) => state_key === bob.userId)
  expect(own.map(({ content }) => content.membership)).toEqual(expect.arrayContaining(['join', 'leave']))
})

test('where those who are invited may read, they may before they join', async () => {
  const { bob, roomId, ids } = await roomWithPast('invited', 'invited')
  expect((await bob.get(roomPath(roomId, eventPath('event', ids.invited)))).content.body).toBe('invited')
  expect((await bob.ask('GET', roomPath(roomId, eventPath('event', ids.before)))).status).toBe(404)
})

test('the sync of a room that was left ends with the leaving', async () => {
  const { alice, bob, roomId } = await roomWithPast('shared', 'joined')
  const { next_batch } = await bob.get(`${v3}/sync`)
  await sendText(alice, roomId, 'still here')
  await bob.post(roomPath(roomId, 'leave'))
  await sendText(alice, roomId, 'too late')
  await sendState(alice, roomId, { type: 'm.room.name', content: { name: 'too late' } })
  const { rooms } = await bob.get(`${v3}/sync?since=${next_batch}`)
  expect(bodiesOf(rooms.leave[roomId].timeline.events)).toEqual(['still here'])
  expect(JSON.stringify(rooms)).not.toContain('too late')
  const state: ClientEvent[] = await bob.get(roomPath(roomId, 'state'))
  expect(state.some(({ type }) => type === 'm.room.name')).toBe(false)
})

test('a banned user reads like one who left; a user who forgot the room reads nothing', async () => {
  const { alice, bob, roomId } = await roomWithPast('shared', 'joined')
  await alice.post(roomPath(roomId, 'ban'), { user_id: bob.userId })
  await sendText(alice, roomId, 'banned')
  expect(bodiesOf(await historyOf(bob, roomId))).toEqual(['before', 'invited', 'joined'])
  await bob.post(roomPath(roomId, 'forget'))
  expect(await refusal(bob, 'GET', roomPath(roomId, 'messages?dir=b'))).toEqual([403, 'M_FORBIDDEN'])
})
