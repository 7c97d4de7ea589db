import { beforeEach, describe, expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import {
  type ClientEvent,
  createRoom,
  eventPath,
  historyOf,
  joinRoom,
  refusal,
  roomPath,
  sendEvent,
  sendState,
  syncUntil,
  v3,
} from '../harness/rooms.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#redactions */
const { url } = inject('homeserver')
let alice: TestUser
let bob: TestUser

beforeEach(async () => {
  ;[alice, bob] = (await Promise.all([registerUser(url), registerUser(url)])) as [TestUser, TestUser]
})

async function sharedRoom(options: object = {}): Promise<string> {
  const roomId = await createRoom(alice, options)
  await joinRoom(roomId, bob)
  return roomId
}
let transactions = 0
const redactPath = (roomId: string, eventId: string) =>
  roomPath(roomId, `${eventPath('redact', eventId)}/x${process.pid}.${++transactions}`)
const redact = async (user: TestUser, roomId: string, eventId: string, body: object = {}): Promise<string> =>
  (await user.put(redactPath(roomId, eventId), body)).event_id
const read = (roomId: string, eventId: string): Promise<ClientEvent> =>
  alice.get(roomPath(roomId, eventPath('event', eventId)))
/** Waits for the effects of a redaction: other processes may have the original event cached for a moment. */
const soon = (check: () => Promise<void>): Promise<unknown> =>
  pollUntil('the redaction shows', () => check().then(() => true))

describe.each(['1', '10', '11', '12'])('in a room of version %s', (room_version) => {
  test('an event is emptied wherever it is served, with why', async () => {
    const roomId = await sharedRoom({ room_version })
    const eventId = await sendText(bob, roomId, 'secret')
    const redaction = await redact(bob, roomId, eventId, { reason: 'oops' })
    await soon(async () => {
      const history = await historyOf(alice, roomId)
      for (const event of [await read(roomId, eventId), history.find(({ event_id }) => event_id === eventId)!]) {
        expect(event.content).toEqual({})
        expect(event.unsigned.redacted_because).toMatchObject({ event_id: redaction, content: { reason: 'oops' } })
      }
      expect(JSON.stringify(history)).not.toContain('secret')
    })
  })

  test('the redaction names its event in the content, and at the top for older clients', async () => {
    const roomId = await sharedRoom({ room_version })
    const eventId = await sendText(bob, roomId, 'secret')
    const { next_batch } = await alice.get(`${v3}/sync`)
    const redaction = await redact(bob, roomId, eventId)
    const told = await syncUntil(alice, next_batch, ({ rooms }) =>
      rooms?.join?.[roomId]?.timeline.events.find(({ event_id }: ClientEvent) => event_id === redaction),
    )
    expect(told.redacts).toBe(eventId)
    if (Number(room_version) >= 11) expect(told.content.redacts).toBe(eventId)
  })
})

test('members keep their membership, power levels their levels', async () => {
  const roomId = await sharedRoom({ name: 'Tea' })
  const member = { membership: 'join', displayname: 'Bob', own: 'x' }
  const memberId = await sendState(bob, roomId, { type: 'm.room.member', key: bob.userId, content: member })
  const nameId = await sendState(alice, roomId, { type: 'm.room.name', content: { name: 'Coffee' } })
  await redact(alice, roomId, memberId)
  await redact(alice, roomId, nameId)
  await soon(async () => {
    expect((await read(roomId, memberId)).content).toEqual({ membership: 'join' })
    // The state event stays the redacted one.
    expect(await alice.get(roomPath(roomId, 'state/m.room.name/'))).toEqual({})
    expect(await alice.get(roomPath(roomId, `state/m.room.member/${encodeURIComponent(bob.userId)}`))).toEqual({
      membership: 'join',
    })
  })
})

test('one’s own with little power, those of others with more', async () => {
  const roomId = await sharedRoom()
  const [own, foreign] = [await sendText(bob, roomId, 'own'), await sendText(alice, roomId, 'foreign')]
  await redact(bob, roomId, own)
  expect(await refusal(bob, 'PUT', redactPath(roomId, foreign))).toEqual([403, 'M_FORBIDDEN'])
  expect((await read(roomId, foreign)).content.body).toBe('foreign')
  await redact(alice, roomId, await sendText(bob, roomId, 'again'))
})

test('not twice over', async () => {
  const roomId = await sharedRoom()
  const eventId = await sendText(alice, roomId, 'x')
  const first = await redact(alice, roomId, eventId)
  await redact(alice, roomId, eventId)
  await soon(async () => {
    expect((await read(roomId, eventId)).unsigned.redacted_because.event_id).toBe(first)
  })
})

test('strangers redact nothing, and nobody does from another room', async () => {
  const roomId = await sharedRoom()
  const eventId = await sendText(alice, roomId, 'x')
  const stranger = await registerUser(url)
  expect(await refusal(stranger, 'PUT', redactPath(roomId, eventId))).toEqual([403, 'M_FORBIDDEN'])
  const elsewhere = await createRoom(alice)
  const { next_batch } = await alice.get(`${v3}/sync`)
  expect(await refusal(alice, 'PUT', redactPath(elsewhere, eventId))).toEqual([400, 'M_INVALID_PARAM'])
  const sent = { redacts: eventId }
  const path = roomPath(elsewhere, `send/m.room.redaction/${++transactions}`)
  expect(await refusal(alice, 'PUT', path, sent)).toEqual([400, 'M_INVALID_PARAM'])
  const last = await sendText(alice, elsewhere, 'last')
  const events = await syncUntil(alice, next_batch, ({ rooms }) => {
    const timeline: ClientEvent[] = rooms?.join?.[elsewhere]?.timeline.events ?? []
    return timeline.some(({ event_id }) => event_id === last) && timeline
  })
  expect(events.map(({ event_id }) => event_id)).toEqual([last])
  expect((await read(roomId, eventId)).content.body).toBe('x')
})

test.each(['$unknown', `$${'A'.repeat(43)}`, 'nothing'])('an unknown event cannot be redacted: %s', async (eventId) => {
  const roomId = await sharedRoom()
  const refused: [number, string][] = [[404, 'M_NOT_FOUND']]
  if (!eventId.startsWith('$')) refused.push([400, 'M_INVALID_PARAM'])
  expect(refused).toContainEqual(await refusal(alice, 'PUT', redactPath(roomId, eventId)))
  const path = roomPath(roomId, `send/m.room.redaction/${++transactions}`)
  expect(await refusal(alice, 'PUT', path, { redacts: eventId })).toEqual([404, 'M_NOT_FOUND'])
  expect((await historyOf(alice, roomId)).map(({ type }) => type)).not.toContain('m.room.redaction')
})

describe.each(['10', '12'])('a redaction that is redacted, in a room of version %s,', (room_version) => {
  test('is emptied, and the event that it redacted stays so', async () => {
    const roomId = await sharedRoom({ room_version })
    const eventId = await sendText(bob, roomId, 'secret')
    const redaction = await redact(bob, roomId, eventId, { reason: 'it had my secret number' })
    await soon(async () => expect(JSON.stringify(await read(roomId, eventId))).toContain('secret number'))
    const second = await redact(bob, roomId, redaction, { reason: 'oops' })
    await soon(async () => {
      const { content, unsigned } = await read(roomId, redaction)
      expect(content.reason).toBeUndefined()
      expect(unsigned.redacted_because.event_id).toBe(second)
      const emptied = await read(roomId, eventId)
      expect(emptied.content).toEqual({})
      expect(emptied.unsigned.redacted_because).toMatchObject({ event_id: redaction })
      expect(JSON.stringify([emptied, await historyOf(alice, roomId)])).not.toContain('secret number')
    })
  })
})

test('the create event cannot be redacted', async () => {
  const roomId = await sharedRoom()
  const [create] = await historyOf(alice, roomId)
  expect(await refusal(alice, 'PUT', redactPath(roomId, create!.event_id))).toEqual([403, 'M_FORBIDDEN'])
})

/** https://spec.matrix.org/v1.19/rooms/v11/: a redaction can be sent like any event. */
test('sent as an event', async () => {
  const roomId = await sharedRoom({ room_version: '11' })
  const eventId = await sendText(bob, roomId, 'x')
  const redaction = await sendEvent(bob, roomId, { redacts: eventId, reason: 'oops' }, 'm.room.redaction')
  await soon(async () => {
    expect((await read(roomId, eventId)).unsigned.redacted_because.event_id).toBe(redaction)
  })
  const foreign = await sendText(alice, roomId, 'foreign')
  const path = roomPath(roomId, 'send/m.room.redaction/1')
  expect(await refusal(bob, 'PUT', path, { redacts: foreign })).toEqual([403, 'M_FORBIDDEN'])
})

test('a redacted message is not found by searches', async () => {
  const roomId = await sharedRoom()
  const eventId = await sendText(alice, roomId, 'a very rare quokka')
  const found = async () => {
    const { search_categories } = await alice.post(`${v3}/search`, {
      search_categories: { room_events: { search_term: 'quokka', filter: { rooms: [roomId] } } },
    })
    return search_categories.room_events.results.length
  }
  expect(await found()).toBe(1)
  await redact(alice, roomId, eventId)
  expect(await found()).toBe(0)
})
