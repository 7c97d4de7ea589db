import { beforeEach, describe, expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import {
  bodiesOf,
  createRoom,
  eventPath,
  historyOf,
  refusal,
  roomOfTwo,
  roomPath,
  sendState,
  v3,
} from '../harness/rooms.ts'

/** Requests of deployed bots and old clients that are no longer, or never were, in the specification. */
const { url } = inject('homeserver')
let alice: TestUser
let bob: TestUser
let roomId: string

beforeEach(async () => {
  ;({ alice, bob, roomId } = await roomOfTwo(url))
})

describe('without a transaction id', () => {
  const path = () => roomPath(roomId, 'send/m.room.message')

  test('each request sends an event', async () => {
    const content = { msgtype: 'm.text', body: 'twice' }
    const ids = [await alice.post(path(), content), await alice.post(path(), content)].map(({ event_id }) => event_id)
    expect(new Set(ids).size).toBe(2)
    expect(bodiesOf(await historyOf(bob, roomId))).toEqual(['twice', 'twice'])
    expect(await refusal(await registerUser(url), 'POST', path(), content)).toEqual([403, 'M_FORBIDDEN'])
    expect((await alice.ask('POST', path(), [])).status).toBe(400)
  })

  test('an event can be delayed', async () => {
    const delayed = await alice.post(`${path()}?org.matrix.msc4140.delay=60000`, { msgtype: 'm.text', body: 'later' })
    expect(delayed).toEqual({ delay_id: expect.any(String) })
    expect(await historyOf(bob, roomId).then(bodiesOf)).toEqual([])
  })

  test('an event is redacted, and says by which event in both forms', async () => {
    const eventId = await sendText(alice, roomId, 'oops')
    const { event_id: redaction } = await alice.post(roomPath(roomId, eventPath('redact', eventId)), { reason: 'typo' })
    await pollUntil('every process shows the redaction', async () => {
      const { content, unsigned } = await bob.get(roomPath(roomId, eventPath('event', eventId)))
      expect(content).toEqual({})
      expect(unsigned).toMatchObject({ redacted_by: redaction, redacted_because: { event_id: redaction } })
      return true
    })
  })
})

test.each(['override', 'content', 'room', 'sender', 'underride'])('the push rules of the kind %s', async (kind) => {
  const rules = (await alice.get(`${v3}/pushrules/global`))[kind]
  for (const path of [`${v3}/pushrules/global/${kind}/`, `${v3}/pushrules/global/${kind}`])
    expect(await alice.get(path)).toEqual(rules)
})

test('push rules of no kind', async () => {
  for (const kind of ['none', '__proto__'])
    expect(await refusal(alice, 'GET', `${v3}/pushrules/global/${kind}/`)).toEqual([400, 'M_INVALID_PARAM'])
})

test.each(['keys/device_signing/upload', 'keys/signatures/upload'])('%s under its unstable name', async (path) => {
  const [stable, unstable] = [
    await alice.ask('POST', `${v3}/${path}`, {}),
    await alice.ask('POST', `/_matrix/client/unstable/${path}`, {}),
  ]
  expect(unstable.status).not.toBe(404)
  expect([unstable.status, unstable.body.errcode]).toEqual([stable.status, stable.body.errcode])
})

test('a room cannot be replaced by itself', async () => {
  const send = (replacement_room: string) =>
    alice.ask('PUT', roomPath(roomId, 'state/m.room.tombstone/'), { body: 'moved', replacement_room })
  const own = await send(roomId)
  expect([own.status, own.body.errcode]).toEqual([400, 'M_INVALID_PARAM'])
  expect((await alice.ask('GET', roomPath(roomId, 'state/m.room.tombstone/'))).status).toBe(404)
  expect((await send(await createRoom(alice))).status).toBe(200)
  // Elsewhere it has no meaning.
  await sendState(bob, await createRoom(bob), { type: 'm.room.tombstone', content: { replacement_room: roomId } })
})
