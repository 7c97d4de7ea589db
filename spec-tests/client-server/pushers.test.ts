import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { ask, asUser, registerUser, sendText, type TestUser } from '../harness/client.ts'
import { type PushGateway, startPushGateway } from '../harness/push-gateway.ts'

const { url } = inject('homeserver')
const SET = '/_matrix/client/v3/pushers/set'
const path = (roomId: string, rest: string) => `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/${rest}`

let gateway: PushGateway
beforeEach(async () => {
  gateway = await startPushGateway()
})
afterEach(() => gateway.close())

let keys = 0
function pusher(more: object = {}) {
  return {
    app_id: 'org.example.app',
    pushkey: `key-${process.pid}-${++keys}`,
    kind: 'http',
    app_display_name: 'App',
    device_display_name: 'Phone',
    lang: 'en',
    data: { url: gateway.url },
    ...more,
  }
}

async function logInAgain(user: TestUser): Promise<TestUser> {
  const body = { type: 'm.login.password', user: user.userId, password: 'correct horse battery' }
  return asUser(url, (await ask(url, { method: 'POST', path: '/_matrix/client/v3/login', body })).body)
}

const pushersOf = async (user: TestUser) => (await user.get('/_matrix/client/v3/pushers')).pushers

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3pushersset */
describe('pushers', () => {
  test('are set, changed, listed and removed', async () => {
    const user = await registerUser(url)
    const wanted = pusher({ profile_tag: 'tag', data: { url: gateway.url, format: 'event_id_only', own: 1 } })
    await user.post(SET, wanted)
    expect(await pushersOf(user)).toEqual([wanted])
    await user.post(SET, { ...wanted, lang: 'de' })
    expect(await pushersOf(user)).toEqual([{ ...wanted, lang: 'de' }])
    const { app_id, pushkey } = wanted
    await user.post(SET, { app_id, pushkey, kind: null })
    await user.post(SET, { app_id, pushkey, kind: null })
    expect(await pushersOf(user)).toEqual([])
  })

  test('a key is one user’s, unless appended', async () => {
    const [first, second, third] = await Promise.all([registerUser(url), registerUser(url), registerUser(url)])
    const wanted = pusher()
    await first.post(SET, wanted)
    await second.post(SET, { ...wanted, append: true })
    expect([await pushersOf(first), await pushersOf(second)]).toEqual([[wanted], [wanted]])
    await third.post(SET, wanted)
    expect([await pushersOf(first), await pushersOf(second)]).toEqual([[], []])
  })

  test('go with their device, and stay with others', async () => {
    const user = await registerUser(url)
    const other = await logInAgain(user)
    const [own, others] = [pusher(), pusher()]
    await user.post(SET, own)
    await other.post(SET, others)
    expect(await pushersOf(user)).toEqual([own, others])
    await other.post('/_matrix/client/v3/logout')
    expect(await pushersOf(user)).toEqual([own])
  })

  test.each([
    ['no lang', { lang: undefined }, 'M_MISSING_PARAM'],
    ['no data', { data: undefined }, 'M_MISSING_PARAM'],
    ['no kind', { kind: undefined }, 'M_MISSING_PARAM'],
    ['an unknown kind', { kind: 'pigeon' }, 'M_INVALID_PARAM'],
    ['no url', { data: {} }, 'M_INVALID_PARAM'],
    ['another path', { data: { url: 'https://example.org/push' } }, 'M_INVALID_PARAM'],
    ['another protocol', { data: { url: 'ftp://example.org/_matrix/push/v1/notify' } }, 'M_INVALID_PARAM'],
    ['a long key', { pushkey: 'ä'.repeat(257) }, 'M_BAD_JSON'],
    ['a long app id', { app_id: 'a'.repeat(65) }, 'M_BAD_JSON'],
  ])('%s', async (_, wrong, errcode) => {
    const user = await registerUser(url)
    const answer = await user.ask('POST', SET, pusher(wrong))
    expect([answer.status, answer.body.errcode]).toEqual([400, errcode])
  })
})

/** https://spec.matrix.org/v1.19/push-gateway-api/ */
describe('push gateways', () => {
  /** Alice, and Bob with a pusher, in a room of three. */
  async function roomWithPusher(more: object = {}) {
    const [alice, bob, carol] = await Promise.all([registerUser(url), registerUser(url), registerUser(url)])
    const { room_id } = await alice.post('/_matrix/client/v3/createRoom', { preset: 'public_chat', name: 'Tea' })
    await bob.post(path(room_id, 'join'))
    await carol.post(path(room_id, 'join'))
    const wanted = pusher(more)
    await bob.post(SET, wanted)
    return { alice, bob, roomId: room_id as string, wanted }
  }
  const arrived = (count: number) =>
    pollUntil(`${count} notifications arrive`, () => gateway.received.length >= count && gateway.received)

  test('get complete events', async () => {
    const { alice, roomId, wanted } = await roomWithPusher({ data: { url: gateway.url, own: { x: 1 } } })
    const eventId = await sendText(alice, roomId, 'hello')
    const [notification] = await arrived(1)
    expect(notification).toEqual({
      event_id: eventId,
      id: eventId,
      room_id: roomId,
      type: 'm.room.message',
      sender: alice.userId,
      sender_display_name: expect.any(String),
      room_name: 'Tea',
      prio: 'low',
      content: { msgtype: 'm.text', body: 'hello' },
      counts: { unread: 1 },
      devices: [
        {
          app_id: wanted.app_id,
          pushkey: wanted.pushkey,
          pushkey_ts: expect.any(Number),
          data: { own: { x: 1 } },
          tweaks: {},
        },
      ],
    })
    expect(Math.abs(notification!.devices[0].pushkey_ts - Date.now() / 1000)).toBeLessThan(600)
  })

  test('get only ids if configured, and the priority', async () => {
    const { alice, bob, roomId } = await roomWithPusher({ data: { url: gateway.url, format: 'event_id_only' } })
    const { event_id } = await alice.put(path(roomId, 'send/m.room.message/1'), {
      msgtype: 'm.text',
      body: 'hello',
      'm.mentions': { user_ids: [bob.userId] },
    })
    const [notification] = await arrived(1)
    const { devices, ...rest } = notification!
    expect(rest).toEqual({ event_id, room_id: roomId, prio: 'high', counts: { unread: 1 } })
    expect(devices[0]).toMatchObject({
      data: { format: 'event_id_only' },
      tweaks: { sound: 'default', highlight: true },
    })
  })

  test('get each event once, and that it was read', async () => {
    const { alice, bob, roomId } = await roomWithPusher()
    const sent = [await sendText(alice, roomId, 'one')]
    await sendText(bob, roomId, 'two')
    sent.push(await sendText(alice, roomId, 'three'), await sendText(alice, roomId, 'four'))
    const events = () => gateway.received.filter(({ event_id }) => event_id).map(({ event_id }) => event_id)
    await pollUntil('all arrive', () => events().length >= 3)
    await bob.post(path(roomId, `receipt/m.read/${encodeURIComponent(sent[2]!)}`))
    const badge = await pollUntil('the count arrives', () => {
      const last = gateway.received.at(-1)!
      return last.event_id === undefined && Object.keys(last.counts).length === 0 && last
    })
    expect(Object.keys(badge).sort()).toEqual(['counts', 'devices'])
    expect(events()).toEqual(sent)
  })

  test('get invites', async () => {
    const [alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
    await bob.post(SET, pusher())
    const { room_id } = await alice.post('/_matrix/client/v3/createRoom', { invite: [bob.userId] })
    const [notification] = await arrived(1)
    expect(notification).toMatchObject({ room_id, type: 'm.room.member', user_is_target: true, prio: 'high' })
  })

  test('that fail are tried again', async () => {
    const { alice, roomId } = await roomWithPusher()
    gateway.answer.status = 500
    const eventId = await sendText(alice, roomId, 'hello')
    await arrived(1)
    gateway.answer.status = 200
    const [, again] = await arrived(2)
    expect(again).toMatchObject({ event_id: eventId })
  })

  test('that reject a key get nothing more for it', async () => {
    const { alice, bob, roomId, wanted } = await roomWithPusher()
    gateway.answer.rejected = [wanted.pushkey]
    await sendText(alice, roomId, 'hello')
    await arrived(1)
    await pollUntil('the pusher is removed', async () => (await pushersOf(bob)).length === 0)
  })
})
