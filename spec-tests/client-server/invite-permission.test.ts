import { beforeEach, expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, type TestUser } from '../harness/client.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#invite-permission and MSC4155 */
const { url } = inject('homeserver')
let alice: TestUser
let bob: TestUser
beforeEach(async () => {
  ;[alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
})

const set = (type: string, content: object) =>
  alice.put(`/_matrix/client/v3/user/${encodeURIComponent(alice.userId)}/account_data/${type}`, content)
const block = (content: object) => set('m.invite_permission_config', content)
const filter = (content: object) => set('org.matrix.msc4155.invite_permission_config', content)
const createRoom = async (user: TestUser, options = {}): Promise<string> =>
  (await user.post('/_matrix/client/v3/createRoom', options)).room_id
const invite = (user: TestUser, roomId: string) =>
  user.ask('POST', `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/invite`, { user_id: alice.userId })
const invites = async () => Object.keys((await alice.get('/_matrix/client/v3/sync?timeout=0')).rooms?.invite ?? {})

test('a user who blocks all invites gets none and sees no earlier one; both work again without the block', async () => {
  const before = await createRoom(bob, { invite: [alice.userId] })
  expect(await invites()).toEqual([before])
  const { next_batch: since } = await alice.get('/_matrix/client/v3/sync?timeout=0')
  await block({ default_action: 'block' })
  expect(await invites()).toEqual([])
  const roomId = await createRoom(bob)
  const member = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/state/m.room.member/${encodeURIComponent(alice.userId)}`
  const refused = { status: 403, body: { errcode: 'M_INVITE_BLOCKED' } }
  expect(await invite(bob, roomId)).toMatchObject(refused)
  expect(await bob.ask('PUT', member, { membership: 'invite' })).toMatchObject(refused)
  expect(await bob.ask('POST', '/_matrix/client/v3/createRoom', { invite: [alice.userId] })).toMatchObject(refused)
  expect((await alice.get(`/_matrix/client/v3/sync?timeout=0&since=${since}`)).rooms?.invite).toBeUndefined()
  await block({})
  expect((await invite(bob, roomId)).status).toBe(200)
  expect((await invites()).sort()).toEqual([before, roomId].sort())
})

test('users and servers are blocked by patterns, and those who are allowed may invite all the same', async () => {
  const carol = await registerUser(url)
  const server = alice.userId.slice(alice.userId.indexOf(':') + 1)
  await filter({ blocked_servers: [`${server.slice(0, 3)}*`], allowed_users: [carol.userId] })
  expect(await invite(bob, await createRoom(bob))).toMatchObject({ status: 403, body: { errcode: 'M_INVITE_BLOCKED' } })
  const roomId = await createRoom(carol)
  expect((await invite(carol, roomId)).status).toBe(200)
  expect(await invites()).toEqual([roomId])
})

test("an ignored user's invite succeeds for the sender, but neither it nor its end is shown or notified", async () => {
  const { next_batch: since } = await alice.get('/_matrix/client/v3/sync?timeout=0')
  await filter({ ignored_users: [bob.userId] })
  const roomId = await createRoom(bob)
  expect((await invite(bob, roomId)).status).toBe(200)
  expect(await invites()).toEqual([])
  const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}`
  expect((await bob.get(`${path}/state/m.room.member/${encodeURIComponent(alice.userId)}`)).membership).toBe('invite')
  await bob.post(`${path}/kick`, { user_id: alice.userId })
  await filter({})
  const other = await createRoom(bob, { invite: [alice.userId] })
  await pollUntil('the invite that is wanted arrives', async () => {
    const { rooms } = await alice.get(`/_matrix/client/v3/sync?timeout=0&since=${since}`)
    return rooms?.invite?.[other] && !rooms.invite[roomId]
  })
})
