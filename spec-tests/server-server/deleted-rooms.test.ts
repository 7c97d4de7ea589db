import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerAdmin, registerUser, sendText, type TestUser } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'
import type { TestHearth } from '../harness/hearth.ts'
import { bodiesOf, createRoom, historyOf, roomPath, v3 } from '../harness/rooms.ts'

/** Rooms that administrators delete, as https://element-hq.github.io/synapse/latest/admin_api/rooms.html#delete-room-api */
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
  const again = await bob.ask('POST', `${v3}/join/${encodeURIComponent(roomId)}?via=${home.serverName}`)
  expect([again.status, again.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
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
  expect(await bodies()).toEqual(['from afar', 'last', 'own', 'still from afar'])
})
