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
