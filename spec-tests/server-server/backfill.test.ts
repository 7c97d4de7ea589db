import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'

let federation: Awaited<ReturnType<typeof startFederation>>
let alice: TestUser
let bob: TestUser
let home: string
beforeAll(async () => {
  federation = await startFederation(2)
  home = federation.servers[0]!.serverName
  ;[alice, bob] = (await Promise.all(federation.servers.map((server) => registerUser(server.url)))) as [
    TestUser,
    TestUser,
  ]
})
afterAll(() => federation.dispose())

const CLIENT = '/_matrix/client/v3'
const room = (roomId: string, rest: string) => `${CLIENT}/rooms/${encodeURIComponent(roomId)}/${rest}`
const join = (user: TestUser, roomId: string) =>
  user.post(`${CLIENT}/join/${encodeURIComponent(roomId)}?via=${encodeURIComponent(home)}`, {})

type Event = { type: string; event_id: string; content: { body?: string; membership?: string } }

/** Returns everything that a user gets by paginating back from the end, newest first. */
async function history(user: TestUser, roomId: string): Promise<Event[]> {
  const events: Event[] = []
  let from = ''
  for (;;) {
    const page = await user.get(room(roomId, `messages?dir=b&limit=30${from}`))
    events.push(...page.chunk)
    if (page.end === undefined) return events
    from = `&from=${page.end}`
  }
}

const bodies = (events: Event[]) => events.flatMap(({ content }) => content.body ?? [])

async function createRoom(options: object = {}): Promise<string> {
  return (await alice.post(`${CLIENT}/createRoom`, { preset: 'public_chat', ...options })).room_id
}

async function say(roomId: string, from: number, to: number): Promise<string[]> {
  const said: string[] = []
  for (let count = from; count < to; count++) {
    await sendText(alice, roomId, `${count}`)
    said.push(`${count}`)
  }
  return said
}

/** https://spec.matrix.org/v1.19/server-server-api/#backfilling-and-retrieving-missing-events */
test('history before a join is fetched when a user pages back to it, complete and in order', async () => {
  const roomId = await createRoom()
  const said = await say(roomId, 0, 140)
  await join(bob, roomId)
  const there = await history(bob, roomId)
  expect(bodies(there).toReversed()).toEqual(said)
  const ids = there.map(({ event_id }) => event_id)
  expect(new Set(ids).size).toBe(ids.length)
  expect(there.at(-1)?.type).toBe('m.room.create')
  expect(ids).toEqual((await history(alice, roomId)).map(({ event_id }) => event_id))
})

test('of a room where only those who are there may read, nothing is shown of before', async () => {
  const initial_state = [{ type: 'm.room.history_visibility', content: { history_visibility: 'joined' } }]
  const roomId = await createRoom({ initial_state })
  await say(roomId, 0, 5)
  await join(bob, roomId)
  await sendText(alice, roomId, 'welcome')
  await pollUntil('bob hears alice', async () => bodies(await history(bob, roomId)).includes('welcome'))
  expect(bodies(await history(bob, roomId))).toEqual(['welcome'])
})

test('events that a server missed while it had no members are in their place', async () => {
  const roomId = await createRoom()
  await join(bob, roomId)
  await sendText(alice, roomId, 'first')
  await pollUntil('bob hears alice', async () => bodies(await history(bob, roomId)).includes('first'))
  const { next_batch } = await bob.get(`${CLIENT}/sync`)
  await bob.post(room(roomId, 'leave'))
  await pollUntil('bob has gone', async () => {
    return (
      (await alice.get(room(roomId, `state/m.room.member/${encodeURIComponent(bob.userId)}`))).membership === 'leave'
    )
  })
  const missed = await say(roomId, 0, 40)
  await join(bob, roomId)
  // Until the members are known, clients without lazy loading do not get the room.
  await bob.get(room(roomId, 'joined_members'))
  const { timeline } = (await bob.get(`${CLIENT}/sync?since=${next_batch}`)).rooms.join[roomId]
  expect(timeline.limited).toBe(true)
  expect(bodies(timeline.events)).toEqual([])
  expect(bodies(await history(bob, roomId)).toReversed()).toEqual(['first', ...missed])
})

/** https://spec.matrix.org/v1.19/client-server-api/#server-side-search */
test('fetched history is found by searches, except redacted events', async () => {
  const roomId = await createRoom()
  await sendText(alice, roomId, 'an old gingko')
  const redacted = await sendText(alice, roomId, 'a gingko that is gone')
  await alice.put(room(roomId, `redact/${encodeURIComponent(redacted)}/r1`), {})
  await join(bob, roomId)
  const search = async () => {
    const criteria = { search_term: 'gingko', filter: { rooms: [roomId] } }
    const { search_categories } = await bob.post(`${CLIENT}/search`, { search_categories: { room_events: criteria } })
    return search_categories.room_events.results.map(({ result }: { result: Event }) => result.content.body)
  }
  expect(await search()).toEqual([])
  expect(bodies(await history(bob, roomId))).toEqual(['an old gingko'])
  expect(await search()).toEqual(['an old gingko'])
})

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1timestamp_to_eventroomid */
test('an event of before is found by its time, and what is around it', async () => {
  const roomId = await createRoom()
  await say(roomId, 0, 3)
  const middle = Date.now()
  const said = await say(roomId, 3, 6)
  await join(bob, roomId)
  const found = await bob.get(
    `/_matrix/client/v1/rooms/${encodeURIComponent(roomId)}/timestamp_to_event?ts=${middle}&dir=f`,
  )
  const context = await bob.get(room(roomId, `context/${encodeURIComponent(found.event_id)}?limit=4`))
  expect(context.event.content.body).toBe(said[0])
})

test('where single events were found by their time, what is around them is fetched too, and all is in order', async () => {
  const roomId = await createRoom()
  const times: number[] = []
  const said: string[] = []
  for (let count = 0; count < 40; count++) {
    const eventId = await sendText(alice, roomId, `${count}`)
    said.push(`${count}`)
    if (count % 10 === 5) {
      times.push((await alice.get(room(roomId, `event/${encodeURIComponent(eventId)}`))).origin_server_ts)
    }
  }
  await join(bob, roomId)
  const found: string[] = []
  for (const ts of times) {
    const path = `/_matrix/client/v1/rooms/${encodeURIComponent(roomId)}/timestamp_to_event?ts=${ts}&dir=f`
    found.push((await bob.get(path)).event_id)
  }
  const { events_before, event, events_after } = await bob.get(
    room(roomId, `context/${encodeURIComponent(found[1]!)}?limit=6`),
  )
  expect(bodies([...events_before.toReversed(), event, ...events_after])).toEqual(said.slice(12, 19))
  expect(bodies(await history(bob, roomId)).toReversed()).toEqual(said)
})
