import { beforeAll, expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser, uniqueName } from '../harness/client.ts'
import {
  type ClientEvent,
  createRoom,
  ignore,
  joinRoom,
  roomPath,
  syncedRoom,
  syncUntil,
  v3,
} from '../harness/rooms.ts'
import { type SlidingBody, slidingClient } from '../harness/sliding-client.ts'

/** https://github.com/matrix-org/matrix-spec-proposals/pull/4354 and 4480 */
const { url } = inject('homeserver')
const DURATION = 'org.matrix.msc4354.sticky_duration_ms'
const EXTENSION = 'org.matrix.msc4354.sticky_events'
const TYPE = 'org.matrix.msc4143.rtc.member'
let alice: TestUser
let bob: TestUser
beforeAll(async () => {
  ;[alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
})

const sendPath = (roomId: string, duration: number | string, txnId = uniqueName()) =>
  roomPath(roomId, `send/${TYPE}/${txnId}?${DURATION}=${duration}`)

async function stick(user: TestUser, roomId: string, key: string, duration = 600_000): Promise<string> {
  return (await user.put(sendPath(roomId, duration), { msc4354_sticky_key: key })).event_id
}
const keysOf = (events: readonly ClientEvent[] = []) => events.map(({ content }) => content.msc4354_sticky_key)
const allKeys = (...sections: (readonly ClientEvent[] | undefined)[]) =>
  sections.flatMap((events) => keysOf(events)).filter((key) => key !== undefined)
const keysIn = (room: ClientEvent | undefined) => keysOf(room?.msc4354_sticky?.events)
const noTimeline = `filter=${encodeURIComponent(JSON.stringify({ room: { timeline: { limit: 1 } } }))}`

/** Sends messages, so that earlier events are outside the timelines of the tests. */
async function bury(user: TestUser, roomId: string): Promise<void> {
  for (const body of ['one', 'two']) await sendText(user, roomId, body)
}

test('an event is sticky for the time that its sender wishes, up to an hour', async () => {
  const roomId = await createRoom(alice)
  const versions = await alice.get('/_matrix/client/versions')
  expect(versions.unstable_features['org.matrix.msc4354']).toBe(true)
  const eventId = await stick(alice, roomId, 'a', 3_600_000)
  const event = await alice.get(roomPath(roomId, `event/${encodeURIComponent(eventId)}`))
  expect(event.msc4354_sticky).toEqual({ duration_ms: 3_600_000 })
  const left = event.unsigned.msc4354_sticky_duration_ttl_ms
  expect(left).toBeGreaterThan(3_500_000)
  expect(left).toBeLessThanOrEqual(3_600_000)
  for (const wrong of [3_600_001, -1, '1.5', 'x']) {
    const answer = await alice.ask('PUT', sendPath(roomId, wrong), {})
    expect(answer, String(wrong)).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
  }
  const txnId = uniqueName()
  const once = await alice.put(sendPath(roomId, 1000, txnId), {})
  expect(await alice.put(sendPath(roomId, 1000, txnId), {})).toEqual(once)
})

test('a first sync has all current sticky events, each either in the timeline or in its own section', async () => {
  const roomId = await createRoom(alice)
  await stick(alice, roomId, 'first')
  await stick(alice, roomId, 'brief', 1)
  await stick(alice, roomId, 'second')
  await sendText(alice, roomId, 'ordinary')
  const buried = await syncedRoom(alice, roomId, noTimeline)
  expect(keysIn(buried)).toEqual(['first', 'second'])
  expect(buried.msc4354_sticky.events[0]).toMatchObject({
    sender: alice.userId,
    type: TYPE,
    event_id: expect.any(String),
  })
  expect(buried.msc4354_sticky.events[0].unsigned.msc4354_sticky_duration_ttl_ms).toBeGreaterThan(500_000)
  expect(buried.msc4354_sticky.events[0]).not.toHaveProperty('room_id')
  const whole = await syncedRoom(alice, roomId)
  expect(whole).not.toHaveProperty('msc4354_sticky')
  expect(keysOf(whole.timeline.events.filter(({ type }: ClientEvent) => type === TYPE))).toEqual([
    'first',
    'brief',
    'second',
  ])
  const brief = whole.timeline.events.find(({ content }: ClientEvent) => content.msc4354_sticky_key === 'brief')
  expect(brief.unsigned).not.toHaveProperty('msc4354_sticky_duration_ttl_ms')
  expect(await syncedRoom(alice, await createRoom(alice))).not.toHaveProperty('msc4354_sticky')
})

test('a later sync has what its timeline lacks, and each event once', async () => {
  const roomId = await createRoom(alice)
  const { next_batch: since } = await alice.get(`${v3}/sync?${noTimeline}`)
  await stick(alice, roomId, 'gap')
  await bury(alice, roomId)
  const gap = await syncUntil(alice, since, ({ rooms, next_batch }) => rooms && { rooms, next_batch })
  expect(keysOf(gap.rooms.join[roomId].timeline.events)).toContain('gap')
  expect(gap.rooms.join[roomId]).not.toHaveProperty('msc4354_sticky')
  const limited = await alice.get(`${v3}/sync?since=${since}&${noTimeline}`)
  expect(limited.rooms.join[roomId].timeline.limited).toBe(true)
  expect(keysIn(limited.rooms.join[roomId])).toEqual(['gap'])
  const after = await alice.get(`${v3}/sync?since=${limited.next_batch}&${noTimeline}`)
  expect(after.rooms?.join?.[roomId]).toBeUndefined()
  const none = encodeURIComponent(JSON.stringify({ room: { timeline: { not_types: ['*'] } } }))
  const filtered = await alice.get(`${v3}/sync?since=${since}&filter=${none}`)
  expect(keysIn(filtered.rooms.join[roomId])).toEqual(['gap'])
})

test('a user who joins gets all current sticky events, also those that the history visibility hides', async () => {
  const hidden = { type: 'm.room.history_visibility', state_key: '', content: { history_visibility: 'joined' } }
  const roomId = await createRoom(alice, { preset: 'public_chat', initial_state: [hidden] })
  const eventId = await stick(alice, roomId, 'before')
  await sendText(alice, roomId, 'secret')
  const { next_batch: since } = await bob.get(`${v3}/sync`)
  const sliding = slidingClient(bob, { connId: 'joining' })
  const read = () => bob.ask('GET', roomPath(roomId, `event/${encodeURIComponent(eventId)}`))
  expect((await read()).status).toBe(404)
  const list = { ranges: [[0, 20]], required_state: [], timeline_limit: 5 }
  await sliding.sync({ lists: { all: list }, extensions: { [EXTENSION]: { enabled: true } } })
  await joinRoom(roomId, bob)
  const joined = await syncUntil(bob, since, ({ rooms }) => rooms?.join?.[roomId])
  const timeline = (room: { timeline: ClientEvent }) => room.timeline.events as ClientEvent[]
  expect(allKeys(timeline(joined), joined.msc4354_sticky?.events)).toEqual(['before'])
  expect(timeline(joined).map(({ content }) => content.body)).not.toContain('secret')
  const slid = await sliding.until((body) => body.rooms[roomId] !== undefined)
  const inExtension = slid.extensions?.[EXTENSION]?.rooms?.[roomId]?.events
  expect(allKeys(slid.rooms[roomId].timeline, inExtension)).toEqual(['before'])
  expect((await read()).body.content).toEqual({ msc4354_sticky_key: 'before' })
  const { chunk } = await bob.get(roomPath(roomId, 'messages?dir=b'))
  expect(allKeys(chunk)).toEqual(['before'])
  expect(chunk.map(({ content }: ClientEvent) => content.body)).not.toContain('secret')
  await bob.post(roomPath(roomId, 'leave'))
  expect((await read()).status).toBe(404)
})

test('events of ignored users, redacted ones and those of a room that one has left do not come', async () => {
  const carol = await registerUser(url)
  const roomId = await createRoom(alice, { preset: 'public_chat' })
  await joinRoom(roomId, bob, carol)
  await stick(bob, roomId, 'ignored')
  const redacted = await stick(alice, roomId, 'redacted')
  await stick(alice, roomId, 'kept')
  await ignore(carol, bob)
  await alice.put(roomPath(roomId, `redact/${encodeURIComponent(redacted)}/${uniqueName()}`))
  await bury(alice, roomId)
  await pollUntil('all is there', async () => keysIn(await syncedRoom(carol, roomId, noTimeline)).join() === 'kept')
  const event = await alice.get(roomPath(roomId, `event/${encodeURIComponent(redacted)}`))
  expect(event).not.toHaveProperty('msc4354_sticky')
  await carol.post(roomPath(roomId, 'leave'))
  const left = await carol.get(
    `${v3}/sync?filter=${encodeURIComponent(JSON.stringify({ room: { include_leave: true } }))}`,
  )
  expect(left.rooms.leave[roomId]).not.toHaveProperty('msc4354_sticky')
})

test('more than a hundred come in several responses, in order and each once', async () => {
  const roomId = await createRoom(alice, { preset: 'public_chat' })
  await joinRoom(roomId, bob)
  const { next_batch: since } = await bob.get(`${v3}/sync`)
  const keys = Array.from({ length: 120 }, (_, place) => `many ${place}`)
  for (const key of keys) await stick(alice, roomId, key)
  await sendText(alice, roomId, 'last')
  const got: string[] = []
  const sizes: number[] = []
  let next = since
  await pollUntil('all have come', async () => {
    const body = await bob.get(`${v3}/sync?since=${next}&${noTimeline}&timeout=1000`)
    next = body.next_batch
    const some = keysIn(body.rooms?.join?.[roomId])
    got.push(...some)
    sizes.push(some.length)
    return got.length >= keys.length
  })
  expect(got).toEqual(keys)
  expect(Math.max(...sizes)).toBeLessThanOrEqual(100)

  const sliding = slidingClient(bob, { connId: 'pages' })
  const request = (since?: string) => ({
    room_subscriptions: { [roomId]: { required_state: [], timeline_limit: 1 } },
    extensions: { [EXTENSION]: { enabled: true, limit: 7, ...(since && { since }) } },
  })
  const first = await sliding.sync(request())
  expect(keysOf(first.extensions[EXTENSION].rooms[roomId].events)).toEqual(keys)
  const from = first.extensions[EXTENSION].next_batch
  const more = Array.from({ length: 16 }, (_, place) => `more ${place}`)
  for (const key of more) await stick(alice, roomId, key)
  await sendText(alice, roomId, 'last again')
  const slid: string[] = []
  let token = from
  await pollUntil('all have come by sliding sync', async () => {
    const { extensions } = await sliding.sync(request(token), { timeout: 1000 })
    const some = keysOf(extensions[EXTENSION].rooms?.[roomId]?.events)
    expect(some.length).toBeLessThanOrEqual(7)
    slid.push(...some)
    token = extensions[EXTENSION].next_batch
    return slid.length >= more.length
  })
  expect(slid).toEqual(more)
})

test('sliding sync wakes for a sticky event in a room outside its window, and repeats what a client missed', async () => {
  const carol = await registerUser(url)
  const quiet = await createRoom(carol)
  const busy = await createRoom(carol)
  const sliding = slidingClient(carol)
  const request = (since?: string) => ({
    lists: { all: { ranges: [[0, 0]], required_state: [], timeline_limit: 1 } },
    extensions: { [EXTENSION]: { enabled: true, ...(since && { since }) } },
  })
  const first = await sliding.sync(request())
  expect(Object.keys(first.rooms)).toEqual([busy])
  const { next_batch } = first.extensions[EXTENSION]
  expect(first.extensions[EXTENSION]).not.toHaveProperty('rooms')
  const other = await registerUser(url)
  await carol.post(roomPath(quiet, 'invite'), { user_id: other.userId })
  await joinRoom(quiet, other)
  await sendText(carol, busy, 'the newest')
  const isThere = (body: SlidingBody) => keysOf(body.extensions[EXTENSION].rooms?.[quiet]?.events).length > 0
  await sliding.sync(request(next_batch))
  const sent = await stick(other, quiet, 'outside')
  await sendText(carol, busy, 'newer again')
  const woken = await sliding.until(isThere)
  expect(woken.extensions[EXTENSION].rooms[quiet].events[0]).toMatchObject({ event_id: sent })
  const again = await sliding.ask(request(next_batch))
  expect(isThere(again.body)).toBe(true)
  const advanced = await sliding.ask(request(woken.extensions[EXTENSION].next_batch))
  expect(isThere(advanced.body)).toBe(false)
  const wrong = await sliding.ask(request('nonsense'))
  expect(wrong).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
})

test('a delayed event is sticky from when it is sent', async () => {
  const roomId = await createRoom(alice)
  const path = `${sendPath(roomId, 600_000)}&org.matrix.msc4140.delay=1`
  await alice.put(path, { msc4354_sticky_key: 'delayed' })
  const other = `/_matrix/client/unstable/org.matrix.msc4140/rooms/${encodeURIComponent(roomId)}/delayed_event/${TYPE}/${uniqueName()}?${DURATION}=600000`
  await alice.put(other, { delay: 1, content: { msc4354_sticky_key: 'other form' } })
  await pollUntil('both are there', async () => {
    await sendText(alice, roomId, 'newer')
    return (
      keysIn(await syncedRoom(alice, roomId, noTimeline))
        .sort()
        .join() === 'delayed,other form'
    )
  })
})

test('every sticky event reaches clients whose first sync runs at that time', async () => {
  const roomId = await createRoom(alice, { preset: 'public_chat' })
  await joinRoom(roomId, bob)
  const sent: string[] = []
  const sending = (async () => {
    for (let number = 0; number < 30; number++) {
      sent.push(await stick(number % 2 ? alice : bob, roomId, String(number)))
      await sendText(alice, roomId, 'between')
    }
  })()
  const watch = async () => {
    const first = await bob.get(`${v3}/sync?${noTimeline}`)
    const got = eventIds(first.rooms.join[roomId])
    let since = first.next_batch
    await sending
    await pollUntil('the rest has come', async () => {
      const body = await bob.get(`${v3}/sync?since=${since}&${noTimeline}`)
      since = body.next_batch
      got.push(...eventIds(body.rooms?.join?.[roomId]))
      return got.length >= sent.length
    })
    return got
  }
  for (const got of await Promise.all(Array.from({ length: 6 }, watch))) expect(got.toSorted()).toEqual(sent.toSorted())
})

function eventIds(room: ClientEvent | undefined): string[] {
  const events = [...(room?.timeline.events ?? []), ...(room?.msc4354_sticky?.events ?? [])]
  return events.flatMap(({ type, event_id }: ClientEvent) => (type === TYPE ? event_id : []))
}
