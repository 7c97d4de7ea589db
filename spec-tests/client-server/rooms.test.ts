import { beforeAll, describe, expect, inject, test } from 'vitest'
import { registerUser, type TestUser, uniqueName } from '../harness/client.ts'

/** Rooms with any number of homeserver processes: concurrent requests go to different ones. */
const { url } = inject('homeserver')
let alice: TestUser
let bob: TestUser
beforeAll(async () => {
  ;[alice, bob] = (await Promise.all([registerUser(url), registerUser(url)])) as [TestUser, TestUser]
})

const CLIENT = '/_matrix/client/v3'
const room = (roomId: string, rest: string) => `${CLIENT}/rooms/${encodeURIComponent(roomId)}/${rest}`
const alias = (name: string) => `${CLIENT}/directory/room/${encodeURIComponent(name)}`

async function createRoom(options: object = {}): Promise<string> {
  return (await alice.post(`${CLIENT}/createRoom`, { preset: 'public_chat', ...options })).room_id
}

async function historyOf(roomId: string): Promise<{ type: string; state_key?: string; content: { body?: string } }[]> {
  return (await alice.get(room(roomId, 'messages?dir=b&limit=100'))).chunk
}

/** https://spec.matrix.org/v1.19/client-server-api/#transaction-identifiers */
describe('transaction ids', () => {
  test('requests repeated at once, among others, are one event', async () => {
    const roomId = await createRoom()
    const send = (txnId: string) =>
      alice.put(room(roomId, `send/m.room.message/${txnId}`), { msgtype: 'm.text', body: txnId })
    const requests = Array.from({ length: 30 }, (_, number) => (number % 3 === 0 ? 'same' : `other${number}`))
    const ids = (await Promise.all(requests.map(send))).map(({ event_id }) => event_id)
    expect(new Set(ids.filter((_, number) => number % 3 === 0)).size).toBe(1)
    expect(new Set(ids).size).toBe(21)
    const bodies = (await historyOf(roomId)).flatMap(({ content }) => content.body ?? [])
    expect(bodies.sort()).toEqual([...new Set(requests)].sort())
  })

  test('a repeated redaction is one redaction', async () => {
    const roomId = await createRoom()
    const { event_id } = await alice.put(room(roomId, 'send/m.room.message/1'), { msgtype: 'm.text', body: 'x' })
    const redact = () => alice.put(room(roomId, `redact/${encodeURIComponent(event_id)}/1`), { reason: 'oops' })
    const ids = (await Promise.all([redact(), redact(), redact()])).map((answer) => answer.event_id)
    expect(new Set(ids).size).toBe(1)
    expect((await historyOf(roomId)).filter(({ type }) => type === 'm.room.redaction')).toHaveLength(1)
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#room-membership */
describe('membership', () => {
  test('joining several times at once is joining once', async () => {
    const roomId = await createRoom()
    const join = () => bob.post(`${CLIENT}/join/${encodeURIComponent(roomId)}`)
    expect(await Promise.all([join(), join(), join(), join()])).toEqual(Array(4).fill({ room_id: roomId }))
    const joins = (await historyOf(roomId)).filter(({ state_key }) => state_key === bob.userId)
    expect(joins).toHaveLength(1)
  })

  test('of an invite and a ban at once, the ban stays', async () => {
    const roomId = await createRoom({ preset: 'private_chat' })
    await Promise.all([
      alice.ask('POST', room(roomId, 'invite'), { user_id: bob.userId }),
      alice.post(room(roomId, 'ban'), { user_id: bob.userId }),
    ])
    const { membership } = await alice.get(room(roomId, `state/m.room.member/${bob.userId}`))
    expect(membership).toBe('ban')
    expect((await bob.ask('POST', room(roomId, 'join'), {})).status).toBe(403)
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom */
describe('creating rooms', () => {
  test('of rooms that want the same alias at once, one is created and has it', async () => {
    const name = uniqueName('alias')
    const create = () => alice.ask('POST', `${CLIENT}/createRoom`, { room_alias_name: name })
    const answers = await Promise.all([create(), create(), create()])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400])
    const roomId = answers.find(({ status }) => status === 200)!.body.room_id
    const server = alice.userId.slice(alice.userId.indexOf(':') + 1)
    expect((await alice.get(alias(`#${name}:${server}`))).room_id).toBe(roomId)
  })

  test('rooms created alike at once are different rooms', async () => {
    const rooms = await Promise.all(Array.from({ length: 8 }, () => createRoom()))
    expect(new Set(rooms).size).toBe(8)
  })
})
