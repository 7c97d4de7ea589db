import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answer, registerUser, type TestUser } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'
import type { TestHearth } from '../harness/hearth.ts'
import { createRoom, roomPath, v1, v3 } from '../harness/rooms.ts'
import { type SigningPeer, startSigningPeer } from '../harness/signing-peer.ts'

/** `federation.servers`, as Synapse's `federation_domain_whitelist`: docs/administration.md */
let federation: Awaited<ReturnType<typeof startFederation>>
let hearth: TestHearth
let denied: SigningPeer
let alice: TestUser
let roomId: string

beforeAll(async () => {
  federation = await startFederation(0)
  const trusted_certificates = [federation.authority.certificate]
  denied = await startSigningPeer(federation)
  hearth = await federation.hearth({
    config: {
      federation: { trusted_certificates, allow_private_addresses: true, servers: { deny: ['LOCALHOST'] } },
      rate_limits: { invite: { per_second: 1000, burst: 1000 } },
    },
  })
  alice = await registerUser(hearth.url)
  roomId = await createRoom(alice, { preset: 'public_chat' })
})
afterAll(() => federation.dispose())

const name = encodeURIComponent
const requests: Record<string, () => Promise<Answer>> = {
  'the profile of its user': () => alice.ask('GET', `${v3}/profile/${name(denied.userId)}`),
  'a field of a profile': () => alice.ask('GET', `${v3}/profile/${name(denied.userId)}/m.tz`),
  'an alias': () => alice.ask('GET', `${v3}/directory/room/${name(`#x:${denied.serverName}`)}`),
  'its public rooms': () => alice.ask('GET', `${v3}/publicRooms?server=${name(denied.serverName)}`),
  'a search of its rooms': () => alice.ask('POST', `${v3}/publicRooms?server=${name(denied.serverName)}`, {}),
  'a file': () => alice.ask('GET', `${v1}/media/download/${denied.serverName}/x`),
  'a thumbnail': () => alice.ask('GET', `${v1}/media/thumbnail/${denied.serverName}/x?width=9&height=9`),
  'a join through it': () =>
    alice.ask('POST', `${v3}/join/${name('!x:elsewhere.example')}?via=${denied.serverName}`, {}),
  'a join by alias': () => alice.ask('POST', `${v3}/join/${name(`#x:${denied.serverName}`)}`, {}),
  'a knock through it': () =>
    alice.ask('POST', `${v3}/knock/${name('!x:elsewhere.example')}?via=${denied.serverName}`, {}),
  'an invite': () => alice.ask('POST', roomPath(roomId, 'invite'), { user_id: denied.userId }),
  'an invite to a new room': () => alice.ask('POST', `${v3}/createRoom`, { invite: [denied.userId] }),
}

describe('users get nothing of a denied server, which is not asked', () => {
  test.each(Object.keys(requests))('%s', async (what) => {
    const before = denied.paths.length
    expect(await requests[what]!()).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect(denied.paths.slice(before)).toEqual([])
  })

  test('keys', async () => {
    const before = denied.paths.length
    const query = await alice.post(`${v3}/keys/query`, { device_keys: { [denied.userId]: [] } })
    expect(query.failures[denied.serverName]).toMatchObject({ errcode: 'M_FORBIDDEN' })
    const claim = await alice.post(`${v3}/keys/claim`, {
      one_time_keys: { [denied.userId]: { X: 'signed_curve25519' } },
    })
    expect(claim.failures[denied.serverName]).toMatchObject({ errcode: 'M_FORBIDDEN' })
    await alice.put(`${v3}/sendToDevice/x.y/1`, { messages: { [denied.userId]: { '*': {} } } })
    expect(denied.paths.slice(before)).toEqual([])
    expect(denied.received).toEqual([])
  })
})

describe('a denied server gets nothing, and its keys are not fetched', () => {
  const paths: [string, string, object?][] = [
    ['GET', `/query/profile?user_id=@x:y`],
    ['GET', `/publicRooms`],
    ['GET', `/make_join/!x:y/@x:localhost?ver=12`],
    ['GET', `/state/!x:y?event_id=$x`],
    ['GET', `/media/download/x`],
    ['GET', `/user/devices/@x:y`],
    ['POST', `/user/keys/query`, { device_keys: {} }],
    ['PUT', `/send/1`, { origin: 'localhost', origin_server_ts: 1, pdus: [], edus: [] }],
  ]
  test.each(paths)('%s %s', async (method, path, body) => {
    const before = denied.paths.length
    const { status, text } = await denied.send(hearth, {
      method: method as 'GET',
      path: `/_matrix/federation/v1${path}`,
      ...(body && { body: JSON.stringify(body) }),
    })
    expect([status, JSON.parse(text).errcode]).toEqual([403, 'M_FORBIDDEN'])
    expect(denied.paths.slice(before)).toEqual([])
  })
})
