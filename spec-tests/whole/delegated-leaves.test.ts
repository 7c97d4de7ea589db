import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { type Answer, ask, registerUser, type TestUser } from '../harness/client.ts'
import { startFederation, type TestFederation } from '../harness/federation.ts'
import type { TestHearth } from '../harness/hearth.ts'
import {
  askService,
  type CallMember,
  DELAYED,
  handOver,
  hashOf,
  isInCall,
  joinCall,
  openIdToken,
  SLOT,
} from '../harness/leave-events.ts'
import {
  type LivekitRooms,
  sendWebhook,
  startLivekitRooms,
  webhookBody,
  webhookToken,
} from '../harness/livekit-rooms.ts'
import { createRoom, joinRoom } from '../harness/rooms.ts'
import { type SigningPeer, startSigningPeer } from '../harness/signing-peer.ts'

/** Leave events that participants of calls hand over: https://github.com/matrix-org/matrix-spec-proposals/pull/4195 */
const URL = 'wss://livekit.example.org'
const UNSTABLE = '/_matrix/client/unstable/io.element.msc4195/rtc/livekit/delegate_delayed_leave'

let federation: TestFederation
let livekit: LivekitRooms
let here: TestHearth
let peer: SigningPeer
let alice: TestUser
let bob: TestUser
let roomId: string

beforeAll(async () => {
  livekit = await startLivekitRooms()
  federation = await startFederation()
  const { apiKey: api_key, secret: api_secret, apiUrl: api_url } = livekit
  here = await federation.hearth({
    config: { calls: { livekit: { url: URL, api_key, api_secret, api_url, grace_period: '2s' } } },
  })
  ;[alice, bob] = await Promise.all([registerUser(here.url), registerUser(here.url)])
  roomId = await createRoom(alice)
  await joinRoom(roomId, bob)
  peer = await startSigningPeer(federation, { isUnchecked: true })
  await peer.join({ serverName: here.serverName, federationPort: here.federationPort! }, roomId)
})
afterAll(async () => {
  await federation?.dispose()
  await livekit?.stop()
})
beforeEach(() => {
  livekit.behave('properly')
  livekit.listed.length = 0
})

function webhook(event: string, { room, identity }: CallMember, reason?: string): Promise<Response> {
  const body = webhookBody(event, { room, identity, ...(reason && { reason }) })
  return sendWebhook(here.url, body, webhookToken(livekit, body))
}

/** Waits until Hearth has asked LiveKit about the room. */
async function noticed({ room }: CallMember): Promise<void> {
  await pollUntil('LiveKit was asked', () => livekit.listed.includes(room))
}

const delayedSince = async ({ user, delayId }: CallMember) =>
  (await user.get(`${DELAYED}/${delayId}`)).delayed_since_ts as number
const left = (member: CallMember) => pollUntil('the membership ends', async () => !(await isInCall(member)))

const serviceMember = ({ userId, deviceId }: TestUser) => ({
  id: 'member 1',
  claimed_user_id: userId,
  claimed_device_id: deviceId,
})

const WAYS: Record<string, (member: CallMember, delay: object) => Promise<Answer>> = {
  'the client API': (member, delay) => handOver(member, delay),
  'the client API in its first version': ({ user, roomId: room_id }, delay) => {
    const member = { id: 'member 1', claimed_device_id: user.deviceId }
    return user.ask('POST', UNSTABLE, { room_id, slot_id: SLOT, member, url: `${URL}/`, ...delay })
  },
  '/delegate_delayed_leave': async ({ user, roomId: room_id }, delay) => {
    const body = { room_id, slot_id: SLOT, openid_token: await openIdToken(user), member: serviceMember(user) }
    return askService(here.url, '/delegate_delayed_leave', { ...body, ...delay })
  },
  '/get_token': async ({ user, roomId: room_id }, delay) => {
    const body = { room_id, slot_id: SLOT, openid_token: await openIdToken(user), member: serviceMember(user) }
    return askService(here.url, '/get_token', { ...body, ...delay })
  },
  '/sfu/get': async ({ user, roomId: room }, delay) => {
    const body = { room, openid_token: await openIdToken(user), device_id: user.deviceId, ...delay }
    return askService(here.url, '/sfu/get', { ...body, delay_cs_api_url: 'http://localhost:1' })
  },
}

describe.each(Object.entries(WAYS))('a leave event that is handed over by %s', (way, request) => {
  async function join(delay?: number): Promise<CallMember> {
    const member = await joinCall(alice, roomId, delay)
    return way === '/sfu/get' ? { ...member, identity: `${alice.userId}:${alice.deviceId}` } : member
  }

  test('is sent when LiveKit reports that the participant has left', async () => {
    const member = await join()
    livekit.connect(member.room, member.identity)
    const { delayId: delay_id } = member
    expect(await request(member, { delay_id, delay_timeout: 3_600_000 })).toMatchObject({ status: 200 })
    await noticed(member)
    await pollUntil('the participant counts as connected', async () => {
      expect((await webhook('participant_left', member, 'DUPLICATE_IDENTITY')).status).toBe(200)
      livekit.disconnect(member.room, member.identity)
      expect((await webhook('participant_left', member, 'CLIENT_INITIATED')).status).toBe(200)
      return !(await isInCall(member))
    })
    expect(await alice.get(`${DELAYED}/${delay_id}`)).toMatchObject({ finalised: { event_id: expect.any(String) } })
  })

  test.each(['of another user', 'of another room', 'that nobody scheduled', 'that was sent', 'that is too short'])(
    'is refused if it is one %s, and clients restart it themselves',
    async (which) => {
      const member = await join()
      const other = await createRoom(alice)
      const delay_id = {
        'of another user': async () => (await joinCall(bob, roomId)).delayId,
        'of another room': async () => (await joinCall(alice, other)).delayId,
        'that nobody scheduled': async () => 'x'.repeat(32),
        'that was sent': async () => {
          await ask(here.url, { method: 'POST', path: `${DELAYED}/${member.delayId}/send`, body: {} })
          return member.delayId
        },
        'that is too short': async () => (await joinCall(alice, roomId, 1500)).delayId,
      }[which]!
      const refused = await delay_id()
      const answer = await request(member, { delay_id: refused, delay_timeout: 3_600_000 })
      // Other tests need the membership.
      await ask(here.url, { method: 'POST', path: `${DELAYED}/${refused}/cancel`, body: {} })
      expect(answer).toMatchObject({ status: 400, body: { errcode: 'M_BAD_JSON' } })
      expect(answer.body).not.toHaveProperty('jwt')
    },
  )
})

test('it is restarted while the participant is connected, and sent when LiveKit no longer has them', async () => {
  const member = await joinCall(alice, roomId, 4000)
  livekit.connect(member.room, member.identity)
  expect((await handOver(member)).status).toBe(200)
  const first = await delayedSince(member)
  await pollUntil('it is restarted', async () => (await delayedSince(member)) > first)
  expect(await isInCall(member)).toBe(true)
  livekit.disconnect(member.room, member.identity)
  await left(member)
})

test('it is sent although LiveKit does not answer, once the grace period is over', async () => {
  const member = await joinCall(alice, roomId)
  livekit.connect(member.room, member.identity)
  expect((await handOver(member)).status).toBe(200)
  await noticed(member)
  livekit.behave('not at all')
  await left(member)
})

test('another one of the same participant replaces it, and the first is cancelled', async () => {
  const first = await joinCall(alice, roomId)
  livekit.connect(first.room, first.identity)
  expect((await handOver(first)).status).toBe(200)
  const second = await joinCall(alice, roomId)
  expect((await handOver(second)).status).toBe(200)
  expect((await alice.get(`${DELAYED}/${first.delayId}`)).finalised).toEqual({ finalised_ts: expect.any(Number) })
  livekit.listed.length = 0
  await webhook('participant_joined', second)
  await noticed(second)
  livekit.disconnect(second.room, second.identity)
  await left(second)
})

test('clients find out that it can be handed over by a request without body and token', async () => {
  for (const path of [UNSTABLE, '/livekit/jwt/delegate_delayed_leave']) {
    expect([400, 401]).toContain((await ask(here.url, { method: 'POST', path })).status)
  }
})

test('it cannot be handed over for the LiveKit of another server, nor by users who are not joined', async () => {
  const forbidden = { status: 403, body: { errcode: 'M_FORBIDDEN' } }
  expect(await handOver(await joinCall(alice, roomId), { url: 'wss://other.example.org' })).toMatchObject(forbidden)
  const oscar = await registerUser(here.url)
  const member = { ...(await joinCall(alice, roomId)), user: oscar }
  expect(await handOver(member)).toMatchObject(forbidden)
})

describe('of a remote user', () => {
  const WELL_KNOWN = '/.well-known/matrix/client'
  const pathOf = (delayId: string, action: string) => `/base${DELAYED}/${delayId}/${action}`

  function request(changes: object = {}): Promise<Answer> {
    const openid_token = { access_token: 'secret', matrix_server_name: peer.serverName }
    const member = { id: 'member 1', claimed_user_id: peer.userId, claimed_device_id: 'PHONE' }
    const body = { room_id: roomId, slot_id: SLOT, openid_token, member, delay_timeout: 60_000 }
    return askService(here.url, '/delegate_delayed_leave', { ...body, ...changes })
  }

  beforeEach(() => {
    peer.answers.clear()
    peer.paths.length = 0
    peer.answers.set('/_matrix/federation/v1/openid/userinfo', { status: 200, body: { sub: peer.userId } })
    const base_url = `https://${peer.serverName}/base/`
    peer.answers.set(WELL_KNOWN, { status: 200, body: { 'm.homeserver': { base_url } } })
  })

  test('it is restarted and sent at their server, whatever URL the client names', async () => {
    const [room, identity] = [hashOf([roomId, SLOT]), hashOf([peer.userId, 'PHONE', 'member 1'])]
    livekit.connect(room, identity)
    const [restart, send] = [pathOf('remote%2F1', 'restart'), pathOf('remote%2F1', 'send')]
    peer.answers.set(restart, { status: 200, body: {} })
    const answer = await request({ delay_id: 'remote/1', delay_timeout: 2000, delay_cs_api_url: here.url })
    expect(answer).toMatchObject({ status: 200, body: {} })
    await pollUntil('it is restarted again', () => peer.paths.filter((path) => path === restart).length >= 2)
    livekit.disconnect(room, identity)
    peer.answers.set(send, { status: 503, body: {} })
    await pollUntil('it is sent', () => peer.paths.includes(send))
  })

  test('it is refused if their server does not have it, or has no client API', async () => {
    expect(await request({ delay_id: 'unknown' })).toMatchObject({ status: 400, body: { errcode: 'M_BAD_JSON' } })
    expect(peer.paths).toContain(pathOf('unknown', 'restart'))
    peer.answers.set(WELL_KNOWN, { status: 200, body: { 'm.homeserver': { base_url: 'file:///etc' } } })
    expect(await request({ delay_id: 'unknown' })).toMatchObject({ status: 400, body: { errcode: 'M_BAD_JSON' } })
    expect(peer.paths).toContain(`${DELAYED}/unknown/restart`)
  })
})
