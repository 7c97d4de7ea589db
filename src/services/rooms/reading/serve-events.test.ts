import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { storeAccountData } from '../../../storage/users/account-data.ts'
import { createTestApp, START, type TestApp } from '../../../testing/create-test-app.ts'
import { ALICE, BOB, CAROL, createReadingRoom, DEVICE, PEOPLE } from '../../../testing/reading-room.ts'
import { serveEvents, serveStateEvents } from './serve-events.ts'

let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ users: PEOPLE })
})
afterAll(() => app.close())

const serve = (events: StoredEvent[], userId = ALICE, bundle = true) =>
  serveEvents(app, { events, userId, deviceId: DEVICE, bundle })
const unsignedOf = async (event: StoredEvent, userId = ALICE) => {
  const [fresh] = await loadEventsById(app.database, [event.event_id])
  return (await serve([fresh!], userId))[0]!.unsigned!
}

test('a message carries its age, the membership of who reads it, and its transaction for the device that sent it', async () => {
  const room = await createReadingRoom(app)
  const event = await room.message(ALICE, 'hi', {}, { txn: { deviceId: DEVICE, id: 't1' } })
  app.clock.advance(500)
  const [served] = await serve([event])
  expect(served).toEqual({
    type: 'm.room.message',
    content: { msgtype: 'm.text', body: 'hi' },
    sender: ALICE,
    room_id: room.roomId,
    event_id: event.event_id,
    origin_server_ts: app.clock.now() - 500,
    unsigned: { age: 500, membership: 'join', transaction_id: 't1' },
  })
  expect((await serveEvents(app, { events: [event], userId: ALICE, deviceId: null }))[0]!.unsigned).toEqual({
    age: 500,
    membership: 'join',
  })
  expect((await serve([event], BOB))[0]!.unsigned).toEqual({ age: 500, membership: 'leave' })
})

test('membership is that after the event', async () => {
  const room = await createReadingRoom(app)
  const before = await room.message(ALICE, 'before')
  const join = await room.member(BOB, 'join')
  const leave = await room.member(BOB, 'leave')
  const served = await serve([before, join, leave], BOB)
  expect(served.map((event) => event.unsigned!.membership)).toEqual(['leave', 'join', 'leave'])
})

test('a state event shows what it replaced', async () => {
  const room = await createReadingRoom(app)
  const first = await room.state('m.room.topic', { topic: 'one' })
  const second = await room.state('m.room.topic', { topic: 'two' })
  expect((await unsignedOf(first)).prev_content).toBeUndefined()
  expect(await unsignedOf(second)).toMatchObject({
    prev_content: { topic: 'one' },
    prev_sender: ALICE,
    replaces_state: first.event_id,
  })
})

test('replaced content is limited in bytes; the membership is right for every event', async () => {
  const room = await createReadingRoom(app)
  await room.member(BOB, 'join', BOB, { reason: 'x'.repeat(60_000) })
  const topics: StoredEvent[] = []
  for (let place = 0; place < 145; place++) topics.push(await room.state('m.room.topic', { topic: 'x'.repeat(60_000) }))
  const unsigned = (await serve(topics, BOB, false)).map((event) => event.unsigned!)
  const bytes = unsigned.reduce((sum, { prev_content }) => sum + JSON.stringify(prev_content ?? '').length, 0)
  expect(bytes).toBeGreaterThan(7 * 1024 * 1024)
  expect(bytes).toBeLessThan(8 * 1024 * 1024)
  expect(new Set(unsigned.map(({ membership }) => membership))).toEqual(new Set(['join']))
})

test('of many large edits the newest are bundled, and never an older one in place of the latest', async () => {
  const room = await createReadingRoom(app)
  const edited: StoredEvent[] = []
  for (let place = 0; place < 165; place++) {
    const event = await room.message(ALICE, 'one')
    await room.relate(ALICE, 'm.replace', event.event_id, { 'm.new_content': { body: 'older' } })
    await room.relate(ALICE, 'm.replace', event.event_id, { 'm.new_content': { body: 'x'.repeat(60_000) } })
    edited.push(event)
  }
  const served = await serve(edited)
  const edits = served.map(({ unsigned }) => JSON.stringify(unsigned!['m.relations'] ?? '').length)
  expect(edits.filter((length) => length > 60_000).length).toBeGreaterThan(120)
  expect(edits.reduce((sum, length) => sum + length, 0)).toBeLessThan(9 * 1024 * 1024)
  expect(edits.filter((length) => length > 2 && length < 60_000)).toEqual([])
  expect(edits.at(-1)).toBeGreaterThan(60_000)
})

test('a redacted event shows the redaction', async () => {
  const room = await createReadingRoom(app)
  const event = await room.message(ALICE, 'oops')
  const redaction = await room.redact(ALICE, event.event_id)
  const unsigned = await unsignedOf(event)
  expect(unsigned.redacted_because).toMatchObject({
    event_id: redaction.event_id,
    type: 'm.room.redaction',
    redacts: event.event_id,
  })
})

test('the latest valid edit is bundled', async () => {
  const room = await createReadingRoom(app)
  await room.member(BOB, 'join')
  const event = await room.message(ALICE, 'one')
  const edit = (sender: typeof ALICE, body: string) =>
    room.relate(sender, 'm.replace', event.event_id, { 'm.new_content': { body } })
  await edit(ALICE, 'two')
  const valid = await edit(ALICE, 'three')
  await edit(BOB, 'not his to edit')
  const invalid = await room.relate(ALICE, 'm.replace', event.event_id)
  expect((await unsignedOf(event, BOB))['m.relations']).toMatchObject({
    'm.replace': { event_id: valid.event_id, unsigned: { membership: 'join' } },
  })
  await room.redact(ALICE, valid.event_id)
  expect((await unsignedOf(event))['m.relations']).toMatchObject({
    'm.replace': { content: { 'm.new_content': { body: 'two' } } },
  })
  expect((await unsignedOf(invalid))['m.relations']).toBeUndefined()
  await room.redact(ALICE, event.event_id)
  expect((await unsignedOf(event))['m.relations']).toBeUndefined()
})

test('a thread is summed up, its latest event with its own edits', async () => {
  const room = await createReadingRoom(app)
  await room.member(BOB, 'join')
  const root = await room.message(ALICE, 'root')
  await room.relate(ALICE, 'm.thread', root.event_id)
  const latest = await room.relate(ALICE, 'm.thread', root.event_id)
  const edit = await room.relate(ALICE, 'm.replace', latest.event_id, { 'm.new_content': { body: 'edited' } })
  const thread = {
    latest_event: {
      event_id: latest.event_id,
      unsigned: { 'm.relations': { 'm.replace': { event_id: edit.event_id } } },
    },
    count: 2,
    current_user_participated: true,
  }
  expect((await unsignedOf(root))['m.relations']).toMatchObject({ 'm.thread': thread })
  expect((await unsignedOf(root, BOB))['m.relations']).toMatchObject({
    'm.thread': { count: 2, current_user_participated: false },
  })
  await room.relate(BOB, 'm.thread', root.event_id)
  expect((await unsignedOf(root, BOB))['m.relations']).toMatchObject({
    'm.thread': { count: 3, current_user_participated: true },
  })
})

test('references are listed, and nothing of ignored users counts', async () => {
  const room = await createReadingRoom(app)
  await room.member(BOB, 'join')
  await room.member(CAROL, 'join')
  const root = await room.message(ALICE, 'poll')
  const votes = [
    await room.relate(ALICE, 'm.reference', root.event_id),
    await room.relate(BOB, 'm.reference', root.event_id),
  ]
  await room.relate(BOB, 'm.thread', root.event_id)
  expect((await unsignedOf(root))['m.relations']).toMatchObject({
    'm.reference': { chunk: votes.map(({ event_id }) => ({ event_id })) },
  })
  await app.database.write((tx) =>
    storeAccountData(tx, CAROL, {
      roomId: '',
      type: 'm.ignored_user_list',
      content: JSON.stringify({ ignored_users: { [BOB]: {} } }),
    }),
  )
  expect((await unsignedOf(root, CAROL))['m.relations']).toEqual({
    'm.reference': { chunk: [{ event_id: votes[0]!.event_id }] },
  })
})

test('a user who has left learns nothing of later events', async () => {
  const room = await createReadingRoom(app, 'joined')
  await room.member(BOB, 'join')
  const root = await room.message(ALICE, 'root')
  const seen = await room.relate(ALICE, 'm.thread', root.event_id)
  await room.member(BOB, 'leave')
  await room.relate(ALICE, 'm.thread', root.event_id)
  await room.relate(ALICE, 'm.replace', root.event_id, { 'm.new_content': { body: 'secret' } })
  const relations = (await unsignedOf(root, BOB))['m.relations']
  expect(relations).toMatchObject({ 'm.thread': { latest_event: { event_id: seen.event_id }, count: 1 } })
  expect(relations).not.toHaveProperty(['m.replace'])
})

test('state events of a list carry only what concerns themselves', async () => {
  const room = await createReadingRoom(app)
  const topic = await room.state('m.room.topic', { topic: 'one' })
  const [served] = await serveStateEvents(app, { events: [topic], userId: ALICE, deviceId: DEVICE })
  expect(served!.unsigned).toEqual({ age: 0 })
  expect(START).toBeLessThan(served!.origin_server_ts)
})

test('fresh messages cost no query, however many', async () => {
  const room = await createReadingRoom(app)
  const events = [
    await room.message(ALICE, 'one'),
    await room.message(ALICE, 'two'),
    await room.state('m.room.topic', { topic: 'x' }),
  ]
  await serve(events, ALICE, false)
  const reads: string[] = []
  const plain = {
    ...app,
    database: {
      ...app.database,
      get sql(): never {
        throw new Error(`asked the database: ${reads}`)
      },
    },
  }
  const served = await serveEvents(plain, { events, userId: ALICE, deviceId: DEVICE })
  expect(served.map((event) => event.event_id)).toEqual(events.map((event) => event.event_id))
})
