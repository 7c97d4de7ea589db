import { describe, expect, inject, test } from 'vitest'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'

const { url } = inject('homeserver')
const THREADS = encodeURIComponent('{"room":{"timeline":{"unread_thread_notifications":true}}}')
const SYNC = '/_matrix/client/v3/sync'
const path = (roomId: string, rest: string) => `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/${rest}`

/** Alice and Bob in a room of three. */
async function roomOfThree() {
  const [alice, bob, carol] = await Promise.all([registerUser(url), registerUser(url), registerUser(url)])
  const { room_id } = await alice.post('/_matrix/client/v3/createRoom', { preset: 'public_chat' })
  await bob.post(path(room_id, 'join'))
  await carol.post(path(room_id, 'join'))
  return { alice, bob, roomId: room_id as string }
}

async function unreadOf(user: TestUser, roomId: string, query = '') {
  const { rooms } = await user.get(`${SYNC}?${query}`)
  const { unread_notifications, unread_thread_notifications } = rooms.join[roomId]
  return { ...unread_notifications, ...(unread_thread_notifications && { threads: unread_thread_notifications }) }
}

let transactions = 0
async function send(user: TestUser, roomId: string, content: object, type = 'm.room.message'): Promise<string> {
  const txn = `u${process.pid}.${++transactions}`
  return (await user.put(path(roomId, `send/${type}/${txn}`), { msgtype: 'm.text', body: 'hi', ...content })).event_id
}

const inThread = (root: string) => ({ 'm.relates_to': { rel_type: 'm.thread', event_id: root } })
const mentioning = (user: TestUser) => ({ 'm.mentions': { user_ids: [user.userId] } })
const receipt = (user: TestUser, roomId: string, eventId: string, body: object = {}, type = 'm.read') =>
  user.post(path(roomId, `receipt/${type}/${encodeURIComponent(eventId)}`), body)
const count = (notification_count: number, highlight_count = 0) => ({ notification_count, highlight_count })

/** https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications */
describe('unread counts', () => {
  test('messages of others count since the joining, one’s own and notices do not', async () => {
    const { alice, bob, roomId } = await roomOfThree()
    expect(await unreadOf(bob, roomId)).toEqual(count(0))
    await sendText(alice, roomId, 'one')
    await send(alice, roomId, { msgtype: 'm.notice' })
    await send(alice, roomId, mentioning(bob))
    expect(await unreadOf(bob, roomId)).toEqual(count(2, 1))
    expect(await unreadOf(alice, roomId)).toEqual(count(0))
  })

  test('come with the event, and change with a receipt from another device', async () => {
    const { alice, bob, roomId } = await roomOfThree()
    const { next_batch } = await bob.get(SYNC)
    const eventId = await sendText(alice, roomId, 'one')
    const first = await bob.get(`${SYNC}?since=${next_batch}&timeout=10000`)
    expect(first.rooms.join[roomId].timeline.events).toHaveLength(1)
    expect(first.rooms.join[roomId].unread_notifications).toEqual(count(1))
    await receipt(bob, roomId, eventId)
    const noReceipts = encodeURIComponent('{"room":{"ephemeral":{"types":[]}}}')
    const second = await bob.get(`${SYNC}?since=${first.next_batch}&timeout=10000&filter=${noReceipts}`)
    expect(second.rooms.join[roomId].unread_notifications).toEqual(count(0))
  })

  test.each(['m.read', 'm.read.private'])('are of what came after the %s receipt', async (type) => {
    const { alice, bob, roomId } = await roomOfThree()
    await sendText(alice, roomId, 'one')
    const second = await sendText(alice, roomId, 'two')
    await sendText(alice, roomId, 'three')
    expect(await unreadOf(bob, roomId)).toEqual(count(3))
    await receipt(bob, roomId, second, {}, type)
    expect(await unreadOf(bob, roomId)).toEqual(count(1))
    // A new device counts the same.
    await sendText(alice, roomId, 'four')
    expect(await unreadOf(bob, roomId)).toEqual(count(2))
  })

  test('are split by thread for who asks', async () => {
    const { alice, bob, roomId } = await roomOfThree()
    const root = await sendText(alice, roomId, 'root')
    const reply = await send(alice, roomId, inThread(root))
    await send(alice, roomId, { ...inThread(root), ...mentioning(bob) })
    expect(await unreadOf(bob, roomId)).toEqual(count(3, 1))
    expect(await unreadOf(bob, roomId, `filter=${THREADS}`)).toEqual({ ...count(1), threads: { [root]: count(2, 1) } })
    await receipt(bob, roomId, root, { thread_id: 'main' })
    expect(await unreadOf(bob, roomId, `filter=${THREADS}`)).toEqual({ ...count(0), threads: { [root]: count(2, 1) } })
    await receipt(bob, roomId, reply, { thread_id: root })
    expect(await unreadOf(bob, roomId, `filter=${THREADS}`)).toEqual({ ...count(0), threads: { [root]: count(1, 1) } })
    await send(bob, roomId, inThread(root))
    expect(await unreadOf(bob, roomId, `filter=${THREADS}`)).toEqual(count(0))
  })

  test('sending reads what came before', async () => {
    const { alice, bob, roomId } = await roomOfThree()
    await sendText(alice, roomId, 'one')
    await sendText(bob, roomId, 'two')
    expect(await unreadOf(bob, roomId)).toEqual(count(0))
    await sendText(alice, roomId, 'three')
    expect(await unreadOf(bob, roomId)).toEqual(count(1))
  })

  test('redacted events count no more', async () => {
    const { alice, bob, roomId } = await roomOfThree()
    const eventId = await send(alice, roomId, mentioning(bob))
    await sendText(alice, roomId, 'two')
    expect(await unreadOf(bob, roomId)).toEqual(count(2, 1))
    await alice.put(path(roomId, `redact/${encodeURIComponent(eventId)}/x`))
    expect(await unreadOf(bob, roomId)).toEqual(count(1))
  })

  test('events of the absence do not count', async () => {
    const { alice, bob, roomId } = await roomOfThree()
    await sendText(alice, roomId, 'one')
    expect(await unreadOf(bob, roomId)).toEqual(count(1))
    await bob.post(path(roomId, 'leave'))
    await sendText(alice, roomId, 'two')
    await bob.post(path(roomId, 'join'))
    expect(await unreadOf(bob, roomId)).toEqual(count(0))
    await sendText(alice, roomId, 'three')
    expect(await unreadOf(bob, roomId)).toEqual(count(1))
  })

  test('follow the push rules as they are changed, and who is ignored', async () => {
    const { alice, bob, roomId } = await roomOfThree()
    const muted = `/_matrix/client/v3/pushrules/global/room/${encodeURIComponent(roomId)}`
    await bob.put(muted, { actions: [] })
    const first = await sendText(alice, roomId, 'one')
    expect(await unreadOf(bob, roomId)).toEqual(count(0))
    await receipt(bob, roomId, first)
    expect((await bob.ask('DELETE', muted)).status).toBe(200)
    const second = await sendText(alice, roomId, 'two')
    expect(await unreadOf(bob, roomId)).toEqual(count(1))
    await receipt(bob, roomId, second)
    await bob.put(`/_matrix/client/v3/user/${bob.userId}/account_data/m.ignored_user_list`, {
      ignored_users: { [alice.userId]: {} },
    })
    await sendText(alice, roomId, 'three')
    expect(await unreadOf(bob, roomId)).toEqual(count(0))
  })

  test('hold with more events than are kept in mind', async () => {
    const { alice, bob, roomId } = await roomOfThree()
    const sent = []
    for (let i = 0; i < 70; i++) sent.push(await sendText(alice, roomId, `${i}`))
    expect(await unreadOf(bob, roomId)).toEqual(count(70))
    await receipt(bob, roomId, sent[59]!)
    expect(await unreadOf(bob, roomId)).toEqual(count(10))
    await sendText(alice, roomId, 'one more')
    expect(await unreadOf(bob, roomId)).toEqual(count(11))
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3notifications */
describe('the list of notifications', () => {
  test('has what notified, the newest first, in pages', async () => {
    const { alice, bob, roomId } = await roomOfThree()
    const first = await sendText(alice, roomId, 'one')
    const second = await send(alice, roomId, mentioning(bob))
    await send(alice, roomId, { msgtype: 'm.notice' })
    const third = await sendText(alice, roomId, 'three')
    await receipt(bob, roomId, first)
    const list = '/_matrix/client/v3/notifications'
    const page = await bob.get(`${list}?limit=2`)
    const told = (notifications: { event: { event_id: string }; read: boolean }[]) =>
      notifications.map(({ event, read }) => [event.event_id, read])
    expect(told(page.notifications)).toEqual([
      [third, false],
      [second, false],
    ])
    expect(page.notifications[1]).toMatchObject({
      room_id: roomId,
      actions: ['notify', { set_tweak: 'sound', value: 'default' }, { set_tweak: 'highlight' }],
    })
    const rest = await bob.get(`${list}?from=${page.next_token}`)
    expect(rest.next_token).toBeUndefined()
    expect(told(rest.notifications)).toEqual([[first, true]])
    expect(told((await bob.get(`${list}?only=highlight`)).notifications)).toEqual([[second, false]])
    expect((await bob.ask('GET', `${list}?from=nonsense`)).body.errcode).toBe('M_INVALID_PARAM')
  })
})
