import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, type TestUser } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'
import { PEPPER, startIdentityServer, type TestIdentityServer } from '../harness/identity-server.ts'
import { askServer } from '../harness/peer.ts'

let federation: Awaited<ReturnType<typeof startFederation>>
let identity: TestIdentityServer
let alice: TestUser
let bob: TestUser
let carol: TestUser
beforeAll(async () => {
  federation = await startFederation(2)
  identity = await startIdentityServer(federation)
  const [here, there] = federation.servers.map((server) => server.url) as [string, string]
  ;[alice, bob, carol] = await Promise.all([registerUser(here), registerUser(there), registerUser(here)])
})
afterAll(() => federation.dispose())

const CLIENT = '/_matrix/client/v3'
const room = (roomId: string, rest: string) => `${CLIENT}/rooms/${encodeURIComponent(roomId)}/${rest}`
const address = (name: string) => ({
  id_server: identity.name,
  id_access_token: 'secret',
  medium: 'email',
  address: name,
})

async function invitedRoom(name: string): Promise<{ roomId: string; token: string }> {
  const { room_id: roomId } = await alice.post(`${CLIENT}/createRoom`, { preset: 'private_chat', name: 'Club' })
  await alice.post(room(roomId, 'invite'), address(name))
  const invite = (await alice.get(room(roomId, 'state'))).find(
    ({ type }: { type: string }) => type === 'm.room.third_party_invite',
  )
  return { roomId, token: invite.state_key }
}

/** Sends the request of an identity server after a user has bound an address. */
async function bind(
  server: number,
  user: TestUser,
  { roomId, token, method = 'PUT' }: { roomId: string; token: string; method?: 'PUT' | 'POST' },
) {
  const invite = { medium: 'email', address: 'x', mxid: user.userId, room_id: roomId, sender: alice.userId }
  const signed = identity.sign(user.userId, token)
  const body = { medium: 'email', address: 'x', mxid: user.userId, invites: [{ ...invite, signed }] }
  const { serverName } = federation.servers[server]!
  return askServer(federation, serverName, '/_matrix/federation/v1/3pid/onbind', body, method)
}

const invitesOf = async (user: TestUser) => Object.keys((await user.get(`${CLIENT}/sync`)).rooms?.invite ?? {})

/** https://spec.matrix.org/v1.19/client-server-api/#third-party-invites */
test('an address is invited, and whoever binds it later comes in, here or on another server', async () => {
  for (const [server, user] of [[1, bob] as const, [0, carol] as const]) {
    const invited = await invitedRoom('b@example.org')
    const stored = identity.calls.findLast((call) => call.path === '/_matrix/identity/v2/store-invite')
    expect(stored).toMatchObject({
      token: 'Bearer secret',
      body: { address: 'b@example.org', room_id: invited.roomId, sender: alice.userId, room_name: 'Club' },
    })
    expect((await bind(server, user, invited)).status).toBe(200)
    expect(await invitesOf(user)).toContain(invited.roomId)
    await user.post(`${CLIENT}/join/${encodeURIComponent(invited.roomId)}`)
    await pollUntil('the inviter sees them', async () => {
      const path = room(invited.roomId, `state/m.room.member/${encodeURIComponent(user.userId)}`)
      return (await alice.get(path)).membership === 'join'
    })
  }
})

test.each(['null@example.org', ' Null2@EXAMPLE.org\t'])(
  'an address of which the identity server says null is bound to nobody: %j',
  async (written) => {
    const canonical = written.trim().toLowerCase()
    identity.bound.set(createHash('sha256').update(`${canonical} email ${PEPPER}`).digest('base64url'), null)
    const { roomId } = await invitedRoom(written)
    const stored = identity.calls.findLast((call) => call.path === '/_matrix/identity/v2/store-invite')
    expect(stored!.body).toMatchObject({ address: canonical, room_id: roomId })
  },
)

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1openiduserinfo */
test('the owner of an OpenID token is shown only for the token', async () => {
  const { access_token } = await alice.post(`${CLIENT}/user/${encodeURIComponent(alice.userId)}/openid/request_token`)
  const { serverName } = federation.servers[0]!
  const ask = (query: string) => askServer(federation, serverName, `/_matrix/federation/v1/openid/userinfo${query}`)
  expect((await ask(`?access_token=${access_token}`)).body).toEqual({ sub: alice.userId })
  expect(await ask('')).toMatchObject({ status: 401, body: { errcode: 'M_MISSING_TOKEN' } })
  for (const token of ['', 'guess', alice.accessToken])
    expect(await ask(`?access_token=${token}`)).toMatchObject({ status: 401, body: { errcode: 'M_UNKNOWN_TOKEN' } })
})

/** As Sydent does, although the specification says PUT. */
test('an identity server may tell by POST', async () => {
  const invited = await invitedRoom('p@example.org')
  expect((await bind(1, bob, { ...invited, method: 'POST' })).status).toBe(200)
  expect(await invitesOf(bob)).toContain(invited.roomId)
})

test('an invite that the identity server has not signed admits no user', async () => {
  const invited = await invitedRoom('c@example.org')
  await bind(1, bob, { ...invited, token: 'another' })
  expect(await invitesOf(bob)).not.toContain(invited.roomId)
})

test('an address that is bound already is the invite of its user', async () => {
  const hash = createHash('sha256').update(`bound@example.org email ${PEPPER}`).digest('base64url')
  identity.bound.set(hash, bob.userId)
  const { room_id: roomId } = await alice.post(`${CLIENT}/createRoom`, { invite_3pid: [address('bound@example.org')] })
  await pollUntil('bob is invited', async () => (await invitesOf(bob)).includes(roomId))
})

test('a user who may not invite cannot have mails sent', async () => {
  const { room_id: roomId } = await alice.post(`${CLIENT}/createRoom`, { preset: 'public_chat' })
  await carol.post(`${CLIENT}/join/${encodeURIComponent(roomId)}`)
  const before = identity.calls.length
  expect((await carol.ask('POST', room(roomId, 'invite'), address('d@example.org'))).status).toBe(403)
  const nowhere = { ...address('d@example.org'), id_server: 'localhost:1' }
  expect((await alice.ask('POST', room(roomId, 'invite'), nowhere)).status).toBe(502)
  expect(identity.calls.length).toBe(before)
})
