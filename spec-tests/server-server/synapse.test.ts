import { afterAll, beforeAll, expect, test } from 'vitest'
import { registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'
import { askServer } from '../harness/peer.ts'
import { startSynapse } from '../harness/synapse.ts'

let federation: Awaited<ReturnType<typeof startFederation>>
let hearth: { url: string; serverName: string }
let synapse: { url: string; serverName: string }
let alice: TestUser
let bob: TestUser
beforeAll(async () => {
  federation = await startFederation()
  ;[hearth, synapse] = await Promise.all([federation.hearth(), startSynapse(federation)])
  ;[alice, bob] = await Promise.all([registerUser(hearth.url), registerUser(synapse.url)])
})
afterAll(() => federation.dispose())

/** https://spec.matrix.org/v1.19/server-server-api/#querying-keys-through-another-server */
test('Hearth and Synapse fetch and verify each other’s keys', async () => {
  for (const [notary, server] of [
    [hearth.serverName, synapse.serverName],
    [synapse.serverName, hearth.serverName],
  ] as const) {
    const own = await askServer(federation, server, '/_matrix/key/v2/server')
    const [keyId = ''] = Object.keys(own.body.verify_keys)
    const answer = await askServer(federation, notary, '/_matrix/key/v2/query', {
      server_keys: { [server]: { [keyId]: { minimum_valid_until_ts: Date.now() } } },
    })
    expect(answer.body.server_keys).toEqual([expect.objectContaining({ server_name: server })])
    expect(Object.keys(answer.body.server_keys[0].signatures)).toEqual(expect.arrayContaining([notary, server]))
  }
})

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1queryprofile */
test('profiles are found both ways', async () => {
  for (const [viewer, user] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    const path = `/_matrix/client/v3/profile/${encodeURIComponent(user.userId)}`
    await user.put(`${path}/displayname`, { displayname: 'Änne 🦄' })
    expect(await viewer.get(path)).toMatchObject({ displayname: 'Änne 🦄' })
    expect(await viewer.get(`${path}/displayname`)).toEqual({ displayname: 'Änne 🦄' })
    const stranger = path.replace('%40', '%40not-')
    expect((await viewer.ask('GET', stranger)).status).toBe(404)
  }
})

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1querydirectory */
test('aliases are found both ways', async () => {
  for (const [seeker, owner] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    const name = uniqueName('räume')
    const { room_id } = await owner.post('/_matrix/client/v3/createRoom', { room_alias_name: name })
    const server = owner.userId.slice(owner.userId.indexOf(':') + 1)
    const path = (alias: string) => `/_matrix/client/v3/directory/room/${encodeURIComponent(alias)}`
    expect(await seeker.get(path(`#${name}:${server}`))).toEqual({ room_id, servers: [server] })
    expect((await seeker.ask('GET', path(`#no-${name}:${server}`))).status).toBe(404)
  }
})

/** https://spec.matrix.org/v1.19/server-server-api/#published-room-directory */
test('public rooms of the other server are listed and searched', async () => {
  for (const [seeker, owner] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    const name = uniqueName('Marketplace')
    const server = owner.userId.slice(owner.userId.indexOf(':') + 1)
    const room = { preset: 'public_chat', visibility: 'public', name, topic: 'Trade' }
    const { room_id } = await owner.post('/_matrix/client/v3/createRoom', room)
    const path = `/_matrix/client/v3/publicRooms?server=${encodeURIComponent(server)}`
    const found = expect.objectContaining({ room_id, name, topic: 'Trade', num_joined_members: 1 })
    expect((await seeker.get(`${path}&limit=50`)).chunk).toContainEqual(found)
    const search = (term: string) => seeker.post(path, { filter: { generic_search_term: term } })
    expect((await search(name)).chunk).toEqual([found])
    expect((await search(uniqueName('nothing'))).chunk).toEqual([])
  }
})

const deviceKeys = ({ userId, deviceId }: TestUser) => ({
  user_id: userId,
  device_id: deviceId,
  algorithms: ['m.olm.v1.curve25519-aes-sha2'],
  keys: { [`curve25519:${deviceId}`]: 'curve', [`ed25519:${deviceId}`]: 'ed' },
  signatures: { [userId]: { [`ed25519:${deviceId}`]: 'signature' } },
})

/** https://spec.matrix.org/v1.19/server-server-api/#end-to-end-encryption */
test('keys of the other server’s users are queried and claimed', async () => {
  for (const [seeker, owner] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    const oneTimeKey = { key: 'one-time', signatures: { [owner.userId]: { [`ed25519:${owner.deviceId}`]: 'x' } } }
    await owner.post('/_matrix/client/v3/keys/upload', {
      device_keys: deviceKeys(owner),
      one_time_keys: { 'signed_curve25519:AAAA': oneTimeKey },
    })
    const asked = { [owner.userId]: [], [seeker.userId]: [] }
    const { device_keys, failures } = await seeker.post('/_matrix/client/v3/keys/query', { device_keys: asked })
    expect(failures).toEqual({})
    expect(Object.keys(device_keys).sort()).toEqual([owner.userId, seeker.userId].sort())
    expect(device_keys[owner.userId][owner.deviceId]).toMatchObject(deviceKeys(owner))
    const claim = { one_time_keys: { [owner.userId]: { [owner.deviceId]: 'signed_curve25519' } } }
    const claimed = await seeker.post('/_matrix/client/v3/keys/claim', claim)
    expect(claimed.one_time_keys[owner.userId][owner.deviceId]).toEqual({ 'signed_curve25519:AAAA': oneTimeKey })
    expect((await seeker.post('/_matrix/client/v3/keys/claim', claim)).one_time_keys[owner.userId] ?? {}).toEqual({})
  }
})

test('servers that are down are among the failures of a query, and hold up nobody', async () => {
  const gone = '@somebody:localhost:1'
  const query = { device_keys: { [gone]: [], [bob.userId]: [] }, timeout: 5000 }
  const { device_keys, failures } = await alice.post('/_matrix/client/v3/keys/query', query)
  expect(Object.keys(failures)).toEqual(['localhost:1'])
  expect(Object.keys(device_keys)).toContain(bob.userId)
  const claim = { one_time_keys: { [gone]: { DEVICE: 'signed_curve25519' } } }
  expect(Object.keys((await alice.post('/_matrix/client/v3/keys/claim', claim)).failures)).toEqual(['localhost:1'])
})
