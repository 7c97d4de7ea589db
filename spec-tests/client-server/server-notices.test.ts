import { beforeAll, describe, expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { outcomeOf, registerAdmin, registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import { bodiesOf } from '../harness/rooms.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#server-notices, sent by the endpoint of Synapse's admin API. */
const { url, sharedSecret } = inject('homeserver')
const v3 = '/_matrix/client/v3'
const SEND = '/_synapse/admin/v1/send_server_notice'
const inRoom = (roomId: string, rest: string) => `${v3}/rooms/${encodeURIComponent(roomId)}/${rest}`
const noticeFor = (user: { userId: string }, body = 'The server rests at noon') => ({
  user_id: user.userId,
  content: { msgtype: 'm.text', body },
})

let admin: TestUser
beforeAll(async () => {
  admin = await registerAdmin(url, sharedSecret)
})

async function invitesOf(user: TestUser): Promise<string[]> {
  return Object.keys((await user.get(`${v3}/sync?timeout=0`)).rooms?.invite ?? {})
}

describe('server notices', () => {
  test('come in a room that can be joined and left, but not refused', async () => {
    const alice = await registerUser(url)
    const { event_id: first } = await admin.post(SEND, noticeFor(alice))
    const [roomId] = await pollUntil('she is invited', async () => {
      const invites = await invitesOf(alice)
      return invites.length > 0 && invites
    })
    const refused = await alice.ask('POST', inRoom(roomId!, 'leave'))
    expect([refused.status, refused.body.errcode]).toEqual([403, 'M_CANNOT_LEAVE_SERVER_NOTICE_ROOM'])
    const asState = await alice.ask('PUT', inRoom(roomId!, `state/m.room.member/${encodeURIComponent(alice.userId)}`), {
      membership: 'leave',
    })
    expect(asState.body.errcode).toBe('M_CANNOT_LEAVE_SERVER_NOTICE_ROOM')

    await alice.post(inRoom(roomId!, 'join'))
    const { chunk } = await alice.get(inRoom(roomId!, 'messages?dir=b&limit=20'))
    const notice = chunk.find(({ event_id }: { event_id: string }) => event_id === first)
    expect(notice.content).toEqual({ msgtype: 'm.text', body: 'The server rests at noon' })
    const { tags } = await alice.get(
      `${v3}/user/${encodeURIComponent(alice.userId)}/rooms/${encodeURIComponent(roomId!)}/tags`,
    )
    expect(tags).toEqual({ 'm.server_notice': expect.any(Object) })
    const answer = await alice.ask('PUT', inRoom(roomId!, 'send/m.room.message/1'), { msgtype: 'm.text', body: 'Why?' })
    expect(answer.status).toBe(403)

    await alice.post(inRoom(roomId!, 'leave'))
    await admin.post(SEND, noticeFor(alice, 'It rests again'))
    expect(await invitesOf(alice)).toEqual([roomId])
  })

  test('reach suspended users, who may join and, as far as the room lets them, write there', async () => {
    const alice = await registerUser(url)
    await admin.put(`/_matrix/client/v1/admin/suspend/${encodeURIComponent(alice.userId)}`, { suspended: true })
    await admin.post(SEND, noticeFor(alice, 'We would like to talk with you'))
    const [roomId] = await invitesOf(alice)
    await alice.post(inRoom(roomId!, 'join'))
    const { chunk } = await alice.get(inRoom(roomId!, 'messages?dir=b&limit=20'))
    expect(bodiesOf(chunk.toReversed())).toEqual(['We would like to talk with you'])
    const write = () => alice.ask('PUT', inRoom(roomId!, 'send/m.room.message/1'), { msgtype: 'm.text', body: 'Why?' })
    expect((await write()).body.errcode).toBe('M_FORBIDDEN')
    const { users, ...levels } = await alice.get(inRoom(roomId!, 'state/m.room.power_levels/'))
    const content = { ...levels, users: { ...users, [alice.userId]: 0 } }
    await admin.post(SEND, { user_id: alice.userId, type: 'm.room.power_levels', state_key: '', content })
    expect((await write()).status).toBe(200)
    const topic = await alice.ask('PUT', inRoom(roomId!, 'state/m.room.topic/'), { topic: 'x' })
    expect(topic.body.errcode).toBe('M_USER_SUSPENDED')
  })

  test('of one transaction come once, in one room however many are sent at once', async () => {
    const alice = await registerUser(url)
    const put = () => admin.put(`${SEND}/${txnId}`, noticeFor(alice))
    const txnId = uniqueName('txn')
    const sent = await Promise.all([put(), put(), admin.post(SEND, noticeFor(alice)), put()])
    expect(sent[1]).toEqual(sent[0])
    expect(sent[3]).toEqual(sent[0])
    expect(await invitesOf(alice)).toHaveLength(1)
  })

  test('go with a user who deactivates the account', async () => {
    const alice = await registerUser(url)
    await admin.post(SEND, noticeFor(alice))
    const auth = { type: 'm.login.password', user: alice.userId, password: 'correct horse battery' }
    await alice.post(`${v3}/account/deactivate`, { auth })
    const refused = await admin.ask('POST', SEND, noticeFor(alice))
    expect([refused.status, refused.body.errcode]).toEqual([404, 'M_NOT_FOUND'])
  })

  test('are for administrators to send, to users of this server', async () => {
    const alice = await registerUser(url)
    const outcome = (user: TestUser, body: unknown) => outcomeOf(user, 'POST', SEND, body)
    const [, server] = alice.userId.split(':')
    expect(await outcome(alice, noticeFor(alice))).toEqual([403, 'M_FORBIDDEN'])
    expect(await outcome(admin, noticeFor({ userId: '@alice:elsewhere.example' }))).toEqual([400, 'M_UNKNOWN'])
    expect(await outcome(admin, noticeFor({ userId: `@${uniqueName()}:${server}` }))).toEqual([404, 'M_NOT_FOUND'])
    expect(await outcome(admin, { user_id: alice.userId })).toEqual([400, expect.stringMatching(/^M_/)])
    expect(await outcome(admin, { user_id: 'alice', content: {} })).toEqual([400, expect.stringMatching(/^M_/)])
    expect(await invitesOf(alice)).toEqual([])
  })
})
