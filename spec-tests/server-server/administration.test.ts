import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerAdmin, registerUser, sendText, type TestUser, uniqueName } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'
import type { TestHearth } from '../harness/hearth.ts'
import { bodiesOf, createRoom, historyOf, refusal, roomPath, v3 } from '../harness/rooms.ts'

/** Effects of an administrator's acts on two servers: their own, and that of other members of a room. */
let federation: Awaited<ReturnType<typeof startFederation>>
let home: TestHearth
let away: TestHearth
let alice: TestUser
let bob: TestUser
/** Of Bob's server. */
let admin: TestUser

beforeAll(async () => {
  federation = await startFederation(2)
  ;[home, away] = federation.servers as [TestHearth, TestHearth]
  ;[alice, bob, admin] = (await Promise.all([
    registerUser(home.url),
    registerUser(away.url),
    registerAdmin(away.url),
  ])) as [TestUser, TestUser, TestUser]
})
afterAll(() => federation.dispose())

const path = (version: string, roomId: string) => `/_synapse/admin/${version}/rooms/${encodeURIComponent(roomId)}`
const join = (roomId: string) => bob.post(`${v3}/join/${encodeURIComponent(roomId)}?via=${home.serverName}`)

async function deleted(roomId: string, body: object = {}): Promise<void> {
  const { delete_id: id } = await admin.ask('DELETE', path('v2', roomId), body).then((answer) => answer.body)
  await pollUntil('the room is deleted', async () => {
    const { status, error } = await admin.get(`/_synapse/admin/v2/rooms/delete_status/${id}`)
    if (status === 'failed') throw new Error(error)
    return status === 'complete'
  })
}

async function membershipOfBob(roomId: string): Promise<string | undefined> {
  const { chunk } = await alice.get(roomPath(roomId, 'members'))
  return chunk.find((member: { state_key: string }) => member.state_key === bob.userId)?.content.membership
}

/** https://element-hq.github.io/synapse/latest/admin_api/rooms.html#delete-room-api */
test('a room of another server is left there, forgotten here, and can be joined again with its history', async () => {
  const roomId = await createRoom(alice)
  await sendText(alice, roomId, 'before')
  await join(roomId)
  await sendText(bob, roomId, 'from Bob')
  const { next_batch: since } = await bob.get(`${v3}/sync`)
  await deleted(roomId)
  await pollUntil('the other server knows', async () => (await membershipOfBob(roomId)) === 'leave')
  const { rooms } = await bob.get(`${v3}/sync?since=${since}`)
  expect(rooms.leave[roomId].timeline.events.at(-1).content).toEqual({ membership: 'leave' })
  expect((await bob.ask('GET', roomPath(roomId, 'messages?dir=b'))).status).toBe(403)
  await sendText(alice, roomId, 'while Bob is away')

  await join(roomId)
  await sendText(alice, roomId, 'after')
  await pollUntil('the new message has arrived', async () => bodiesOf(await historyOf(bob, roomId)).includes('after'))
  expect(bodiesOf(await historyOf(bob, roomId)).sort()).toEqual(
    ['after', 'before', 'from Bob', 'while Bob is away'].sort(),
  )
  await sendText(bob, roomId, 'Bob again')
  await pollUntil('it has arrived', async () => bodiesOf(await historyOf(alice, roomId)).includes('Bob again'))
})

test('a blocked room cannot be joined again, and members get a notice in a new one', async () => {
  const roomId = await createRoom(alice)
  await sendText(alice, roomId, 'kept')
  await join(roomId)
  const moving = { new_room_user_id: admin.userId, room_name: 'Bad room', message: 'It is blocked', block: true }
  const answer = await admin.ask('DELETE', path('v1', roomId), moving)
  expect(answer.body).toEqual({
    kicked_users: [bob.userId],
    failed_to_kick_users: [],
    local_aliases: [],
    new_room_id: expect.any(String),
  })
  expect(bodiesOf(await historyOf(bob, answer.body.new_room_id))).toEqual(['It is blocked'])
  await pollUntil('the other server knows', async () => (await membershipOfBob(roomId)) === 'leave')
  const rejoin = `${v3}/join/${encodeURIComponent(roomId)}?via=${home.serverName}`
  expect(await refusal(bob, 'POST', rejoin)).toEqual([403, 'M_FORBIDDEN'])
  expect((await alice.ask('POST', roomPath(roomId, 'invite'), { user_id: bob.userId })).status).toBe(403)
  await sendText(alice, roomId, 'after')
  expect(bodiesOf(await historyOf(alice, roomId))).toEqual(['kept', 'after'])
  expect((await alice.ask('GET', roomPath(answer.body.new_room_id, 'state'))).status).toBe(403)

  const block = `${path('v1', roomId)}/block`
  expect(await admin.get(block)).toEqual({ block: true, user_id: admin.userId })
  await admin.put(block, { block: false })
  await join(roomId)
  await pollUntil('Bob is back', async () => (await membershipOfBob(roomId)) === 'join')
})

test('a room of this server goes on at the other one, without the users of this one', async () => {
  const roomId = await createRoom(bob)
  await alice.post(`${v3}/join/${encodeURIComponent(roomId)}?via=${away.serverName}`)
  await sendText(bob, roomId, 'from Bob')
  await pollUntil('it has arrived', async () => bodiesOf(await historyOf(alice, roomId)).includes('from Bob'))
  await pollUntil('all state has arrived', async () => (await membershipOfBob(roomId)) === 'join')
  await deleted(roomId)
  await pollUntil('the other server knows', async () => (await membershipOfBob(roomId)) === 'leave')
  expect(await refusal(admin, 'GET', path('v1', roomId))).toEqual([404, 'M_NOT_FOUND'])
  await sendText(alice, roomId, 'from Alice')
  expect(bodiesOf(await historyOf(alice, roomId))).toEqual(['from Bob', 'from Alice'])
  await join(roomId)
  await pollUntil('it has arrived', async () => bodiesOf(await historyOf(bob, roomId)).includes('from Alice'))
})

test('an invite to a room that is deleted is rejected', async () => {
  const roomId = await createRoom(alice, { preset: 'private_chat', invite: [bob.userId] })
  const invites = async () => (await bob.get(`${v3}/sync`)).rooms?.invite ?? {}
  await pollUntil('the invite has arrived', async () => roomId in (await invites()))
  await deleted(roomId)
  expect(await invites()).not.toHaveProperty(roomId)
  await pollUntil('the other server knows', async () => (await membershipOfBob(roomId)) === 'leave')
  await alice.post(roomPath(roomId, 'invite'), { user_id: bob.userId })
  await pollUntil('a new invite has arrived', async () => roomId in (await invites()))
})

/** https://element-hq.github.io/synapse/latest/admin_api/purge_history_api.html */
test('purged messages of other servers are gone, come back from these to who pages back, and own ones stay', async () => {
  const roomId = await createRoom(alice)
  await join(roomId)
  const [first] = [await sendText(alice, roomId, 'from afar'), await sendText(bob, roomId, 'own')]
  await sendText(alice, roomId, 'still from afar')
  const last = await sendText(alice, roomId, 'last')
  await pollUntil('all have arrived', async () => bodiesOf(await historyOf(bob, roomId)).includes('last'))
  const purge = `/_synapse/admin/v1/purge_history/${encodeURIComponent(roomId)}/${encodeURIComponent(last)}`
  const { purge_id: id } = await admin.post(purge, {})
  const status = `/_synapse/admin/v1/purge_history_status/${id}`
  await pollUntil('they are purged', async () => (await admin.get(status)).status === 'complete')
  expect((await bob.ask('GET', roomPath(roomId, `event/${encodeURIComponent(first)}`))).status).toBe(404)
  expect(bodiesOf((await bob.get(`${v3}/sync`)).rooms.join[roomId].timeline.events)).toEqual(['own', 'last'])
  const bodies = async () => bodiesOf(await historyOf(bob, roomId)).sort()
  await pollUntil('they are back', async () => (await bodies()).length === 4)
  expect(bodiesOf(await historyOf(alice, roomId)).sort()).toEqual(await bodies())
  expect(await bodies()).toEqual(['from afar', 'last', 'own', 'still from afar'])
})

test('with delete_local_events, own messages are purged too; the other server has them still', async () => {
  const roomId = await createRoom(alice)
  await join(roomId)
  const own = await sendText(bob, roomId, 'own')
  const last = await sendText(bob, roomId, 'last')
  await pollUntil('they have arrived', async () => bodiesOf(await historyOf(alice, roomId)).includes('last'))
  const body = { purge_up_to_event_id: last, delete_local_events: true }
  const { purge_id: id } = await admin.post(`/_synapse/admin/v1/purge_history/${encodeURIComponent(roomId)}`, body)
  const status = `/_synapse/admin/v1/purge_history_status/${id}`
  await pollUntil('they are purged', async () => (await admin.get(status)).status === 'complete')
  expect(await refusal(bob, 'GET', roomPath(roomId, `event/${encodeURIComponent(own)}`))).toEqual([404, 'M_NOT_FOUND'])
  expect((await alice.get(roomPath(roomId, `event/${encodeURIComponent(own)}`))).content.body).toBe('own')
})

/** https://element-hq.github.io/synapse/latest/admin_api/server_notices.html */
test('a server notice reaches the users of this server, in a room that no remote user enters', async () => {
  const notices = '/_synapse/admin/v1/send_server_notice'
  const notice = (to: TestUser, body: string) => ({ user_id: to.userId, content: { msgtype: 'm.text', body } })
  const user = await registerUser(away.url)
  const put = `${notices}/${uniqueName('txn')}`
  const first = await admin.put(put, notice(user, 'once'))
  expect(await admin.put(put, notice(user, 'once'))).toEqual(first)
  await admin.post(notices, notice(user, 'twice'))
  const [roomId] = Object.keys((await user.get(`${v3}/sync`)).rooms.invite)
  await user.post(roomPath(roomId!, 'join'))
  expect(bodiesOf(await historyOf(user, roomId!))).toEqual(['once', 'twice'])

  for (const [method, to] of [
    ['POST', notices],
    ['PUT', `${notices}/${uniqueName('txn')}`],
  ] as const)
    expect(await refusal(admin, method, to, notice(alice, 'remote'))).toEqual([400, 'M_UNKNOWN'])
  expect(await refusal(user, 'POST', roomPath(roomId!, 'invite'), { user_id: alice.userId })).toEqual([
    ...[403, 'M_FORBIDDEN'],
  ])
  const enter = `${encodeURIComponent(roomId!)}?via=${away.serverName}`
  for (const way of ['join', 'knock'])
    expect(await refusal(alice, 'POST', `${v3}/${way}/${enter}`)).toEqual([403, 'M_FORBIDDEN'])
  const { members } = await admin.get(`${path('v1', roomId!)}/members`)
  expect(members.sort()).toEqual([`@notices:${away.serverName}`, user.userId].sort())
  const { rooms = {} } = await alice.get(`${v3}/sync`)
  expect({ ...rooms.join, ...rooms.invite, ...rooms.knock }).not.toHaveProperty([roomId!])
})
