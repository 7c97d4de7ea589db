import { beforeAll, expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { ask, registerUser, sendText, type TestUser } from '../harness/client.ts'

/** https://github.com/matrix-org/matrix-spec-proposals/pull/4140 */
const { url } = inject('homeserver')
const DELAYED = '/_matrix/client/unstable/org.matrix.msc4140/delayed_events'
const LONG = 3_600_000
let alice: TestUser
let roomId: string
let room: string
beforeAll(async () => {
  alice = await registerUser(url)
  roomId = (await alice.post('/_matrix/client/v3/createRoom', { preset: 'private_chat' })).room_id
  room = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}`
})

let transactions = 0
async function delayMessage(body: string, delay: number, txnId = `d${++transactions}`): Promise<string> {
  const path = `${room}/send/m.room.message/${txnId}?org.matrix.msc4140.delay=${delay}`
  return (await alice.put(path, { msgtype: 'm.text', body })).delay_id
}
async function delayState(stateKey: string, content: object, delay: number): Promise<string> {
  const path = `${room}/state/org.example.seat/${stateKey}?org.matrix.msc4140.delay=${delay}`
  return (await alice.put(path, content)).delay_id
}
const seat = (stateKey: string) => alice.ask('GET', `${room}/state/org.example.seat/${stateKey}`)
const manage = (delayId: string, action: string) =>
  ask(url, { method: 'POST', path: `${DELAYED}/${delayId}/${action}`, body: {} })
const scheduled = async (): Promise<{ delay_id: string }[]> => (await alice.get(DELAYED)).delayed_events

/** The texts of the newest messages, oldest first. */
async function messages(): Promise<{ content: { body: string }; unsigned: Record<string, unknown> }[]> {
  const { chunk } = await alice.get(`${room}/messages?dir=b&limit=100`)
  return chunk.filter((event: { type: string }) => event.type === 'm.room.message').reverse()
}
const texts = async () => (await messages()).map((event) => event.content.body)

test('delayed messages are sent once each, by whichever process', async () => {
  const names = Array.from({ length: 12 }, (_, place) => `late ${place}`)
  const much = await delayMessage('much later', LONG)
  const ids = await Promise.all(names.map((name, place) => delayMessage(name, 300 + place * 10)))
  await pollUntil('all are sent', async () => (await texts()).filter((text) => text.startsWith('late')).length >= 12)
  await pollUntil('none is scheduled', async () => !(await scheduled()).some((event) => ids.includes(event.delay_id)))
  expect((await scheduled()).map((event) => event.delay_id)).toContain(much)
  expect(await texts()).not.toContain('much later')
  await manage(much, 'cancel')
  const sent = (await messages()).filter((event) => event.content.body.startsWith('late'))
  expect(sent.map((event) => event.content.body).sort()).toEqual([...names].sort())
  expect(sent.map((event) => event.unsigned['org.matrix.msc4140.delay_id']).sort()).toEqual([...ids].sort())
})

test('a repeated request schedules nothing more', async () => {
  const first = await delayMessage('once', LONG, 'same')
  expect(await delayMessage('once', LONG, 'same')).toBe(first)
  expect((await scheduled()).filter((event) => event.delay_id === first)).toHaveLength(1)
  await manage(first, 'cancel')
})

test('concurrent requests to send it send it once, and all succeed', async () => {
  const delayId = await delayMessage('now', LONG)
  const answers = await Promise.all(Array.from({ length: 16 }, () => manage(delayId, 'send')))
  expect(answers.map((answer) => answer.status)).toEqual(Array(16).fill(200))
  expect((await texts()).filter((text) => text === 'now')).toHaveLength(1)
  expect((await manage(delayId, 'cancel')).status).toBe(409)
  expect(await manage(delayId, 'restart')).toMatchObject({ status: 409, body: { errcode: 'M_NOT_FOUND' } })
  const info = await alice.get(`${DELAYED}/${delayId}`)
  expect(info).toMatchObject({ type: 'm.room.message', room_id: roomId, delay_ms: LONG })
  expect(info.finalised.event_id).toMatch(/^\$/)
})

test('sending and cancelling at the same time: one of the two happens', async () => {
  for (let round = 0; round < 5; round++) {
    const delayId = await delayMessage(`either ${round}`, LONG)
    const [sent, cancelled] = await Promise.all([manage(delayId, 'send'), manage(delayId, 'cancel')])
    expect([sent.status, cancelled.status].sort()).toEqual([200, 409])
    expect((await texts()).includes(`either ${round}`)).toBe(sent.status === 200)
  }
})

test('state is set when it is due; restarting puts that off, and a cancelled one does not come', async () => {
  const [due, restarted, cancelled] = await Promise.all([
    delayState('due', { taken: true }, 300),
    delayState('restarted', { taken: true }, LONG),
    delayState('cancelled', { taken: true }, LONG),
  ])
  const before = (await alice.get(`${DELAYED}/${restarted}`)).delayed_since_ts
  expect((await manage(cancelled, 'cancel')).status).toBe(200)
  expect((await manage(cancelled, 'cancel')).status).toBe(200)
  expect((await manage(cancelled, 'send')).status).toBe(409)
  await pollUntil('the state is set', async () => (await seat('due')).status === 200)
  expect((await manage(restarted, 'restart')).status).toBe(200)
  expect((await alice.get(`${DELAYED}/${restarted}`)).delayed_since_ts).toBeGreaterThan(before)
  expect((await seat('restarted')).status).toBe(404)
  expect((await seat('cancelled')).status).toBe(404)
  expect((await alice.get(`${DELAYED}/${cancelled}`)).finalised).not.toHaveProperty('event_id')
  expect((await alice.get(`${DELAYED}/${due}`)).finalised.event_id).toMatch(/^\$/)
  await alice.post(`${DELAYED}/${restarted}`, { action: 'cancel' })
})

test('an event that its sender may not send when it is due fails with the reason; sent early it stays scheduled', async () => {
  const bob = await registerUser(url)
  const path = `${room}/send/m.room.message/x?org.matrix.msc4140.delay=`
  const { delay_id: later } = await bob.put(`${path}${LONG}`, { body: 'no member' })
  expect(await manage(later, 'send')).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
  expect((await bob.get(DELAYED)).delayed_events).toHaveLength(1)
  const { delay_id: soon } = await bob.put(`${room}/send/m.room.message/y?org.matrix.msc4140.delay=1`, { body: 'x' })
  const { finalised } = await pollUntil('it has failed', async () => {
    const info = await bob.get(`${DELAYED}/${soon}`)
    return info.finalised ? info : undefined
  })
  expect(finalised.error.errcode).toBe('M_FORBIDDEN')
  const { finalised: list } = await bob.get(`${DELAYED}?status=finalised`)
  expect(list).toMatchObject([{ outcome: 'cancel', reason: 'error', delayed_event: { delay_id: soon } }])
  expect((await alice.ask('GET', `${DELAYED}/${soon}`)).status).toBe(404)
})

test('the endpoint of its own schedules messages and state, and a redaction empties an event', async () => {
  const eventId = await sendText(alice, roomId, 'secret')
  const own = `/_matrix/client/unstable/org.matrix.msc4140/rooms/${encodeURIComponent(roomId)}/delayed_event`
  await alice.put(`${own}/m.room.redaction/r1`, { delay_ms: 300, content: { redacts: eventId } })
  const { delay_id } = await alice.put(`${own}/org.example.seat/s1`, {
    delay: LONG,
    state_key: 'own',
    content: { taken: 1 },
  })
  await manage(delay_id, 'send')
  expect((await seat('own')).body).toEqual({ taken: 1 })
  await pollUntil('it is redacted', async () => {
    return Object.keys((await alice.get(`${room}/event/${encodeURIComponent(eventId)}`)).content).length === 0
  })
})

test('one event is shown under the names of the proposal and of its earlier drafts', async () => {
  const delayId = await delayMessage('shown', LONG)
  const shown = await alice.get(`${DELAYED}/${delayId}`)
  expect(shown).toMatchObject({
    delay_id: delayId,
    room_id: roomId,
    type: 'm.room.message',
    delay_ms: LONG,
    delay: LONG,
  })
  expect(shown.running_since).toBe(shown.delayed_since_ts)
  expect((await manage(delayId, 'cancel')).status).toBe(200)
})

test('bounds: how long, how many, and who may look', async () => {
  const carol = await registerUser(url)
  const capability = (await carol.get('/_matrix/client/v3/capabilities')).capabilities[
    'org.matrix.msc4140.delayed_events'
  ]
  const send = (delay: unknown, txnId: string) =>
    carol.ask('PUT', `${room}/send/m.room.message/${txnId}?org.matrix.msc4140.delay=${delay}`, { body: 'x' })
  expect(capability.max_delay_ms).toBeGreaterThanOrEqual(24 * LONG)
  expect((await send(capability.max_delay_ms + 1, 'a')).body).toMatchObject({
    'org.matrix.msc4140.errcode': 'M_MAX_DELAY_EXCEEDED',
    'org.matrix.msc4140.max_delay': capability.max_delay_ms,
  })
  for (const delay of ['0', '-1', 'soon', '1.5']) expect((await send(delay, 'b')).status).toBe(400)
  const many = Array.from({ length: capability.max_scheduled + 5 }, (_, place) => send(LONG, `many${place}`))
  const statuses = (await Promise.all(many)).map((answer) => answer.status)
  expect(statuses.filter((status) => status === 200)).toHaveLength(capability.max_scheduled)
  expect(await send(LONG, 'onemore')).toMatchObject({ status: 429, body: { errcode: 'M_LIMIT_EXCEEDED' } })
  expect((await ask(url, { method: 'GET', path: DELAYED })).status).toBe(401)
  expect((await manage('unknown', 'send')).status).toBe(404)
  expect((await manage('unknown', 'oops')).body.errcode).toBe('M_UNRECOGNIZED')
  expect((await alice.ask('POST', `${DELAYED}/unknown`, {})).status).toBe(400)
})
