import { afterAll, expect } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { type ask, registerUser, type TestUser } from '../harness/client.ts'
import { type Attack, describeAttacks, type HostileWorld } from '../harness/hostile-world.ts'
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
import { sendWebhook, signToken, startLivekitRooms, webhookBody, webhookToken } from '../harness/livekit-rooms.ts'
import { createRoom, joinRoom } from '../harness/rooms.ts'

const MIB = 1024 * 1024
/** Leave events that one user may hand over here. */
const MOST = 5
const WELL_KNOWN = '/.well-known/matrix/client'
const USERINFO = '/_matrix/federation/v1/openid/userinfo'

const livekit = await startLivekitRooms()
afterAll(() => livekit.stop())

/** Returns what `make` made for a world the first time: refused attacks leave it as it was. */
function shared<Made>(make: (world: HostileWorld) => Promise<Made>): (world: HostileWorld) => Promise<Made> {
  const made = new WeakMap<HostileWorld, Promise<Made>>()
  return (world) => {
    const known = made.get(world) ?? make(world)
    made.set(world, known)
    return known
  }
}

async function newMember(world: HostileWorld): Promise<TestUser> {
  const user = await registerUser(world.url)
  await joinRoom(world.roomId, user)
  return user
}

/** A bystander in a call, whose leave event is handed over, and whom LiveKit has. */
const connectedMember = shared(async (world): Promise<CallMember> => {
  const member = await joinCall(await newMember(world), world.roomId)
  livekit.connect(member.room, member.identity)
  livekit.listed.length = 0
  expect((await handOver(member)).status).toBe(200)
  await pollUntil('LiveKit was asked', () => livekit.listed.includes(member.room))
  return member
})
/** A bystander in a call, whose leave event is not handed over. */
const victimOf = shared((world) => joinCall(world.alice, world.roomId))
const attackerOf = shared(newMember)

const scheduledSince = async ({ user, delayId }: CallMember) => {
  const event = await user.get(`${DELAYED}/${delayId}`)
  expect(event).not.toHaveProperty('finalised')
  return event.delayed_since_ts as number
}

type Sent = { body: string; token: string }

/** A webhook that is refused, and after which the participant stays. */
function refusedWebhook(name: string, status: number, forge: (member: CallMember) => Sent | Promise<Sent>): Attack {
  return {
    name: `a webhook ${name}`,
    async attempt(world) {
      const member = await connectedMember(world)
      const { body, token } = await forge(member)
      expect((await sendWebhook(world.url, body, token)).status).toBe(status)
      expect(await isInCall(member)).toBe(true)
      await scheduledSince(member)
    },
  }
}

const leftBody = ({ room, identity }: CallMember) =>
  webhookBody('participant_left', { room, identity, reason: 'CLIENT_INITIATED' })
const signed = (body: string, changes: object = {}) => ({ body, token: webhookToken(livekit, body, changes) })
const now = () => Math.floor(Date.now() / 1000)

const WEBHOOKS: Attack[] = [
  refusedWebhook('without a signature', 401, (member) => ({ body: leftBody(member), token: '' })),
  refusedWebhook('signed with another secret', 401, (member) => {
    const body = leftBody(member)
    return { body, token: webhookToken({ ...livekit, secret: 'a guess at the secret of LiveKit' }, body) }
  }),
  refusedWebhook('signed by "none"', 401, (member) => {
    const { body, token } = signed(leftBody(member))
    const header = Buffer.from('{"alg":"none"}').toString('base64url')
    return { body, token: `${header}.${token.split('.')[1]}.` }
  }),
  refusedWebhook('with another algorithm in its header', 401, (member) => {
    const { body, token } = signed(leftBody(member))
    const claims = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString())
    return { body, token: signToken(livekit.secret, claims, { alg: 'HS512', typ: 'JWT' }) }
  }),
  refusedWebhook('of another key', 401, (member) => signed(leftBody(member), { iss: 'another' })),
  refusedWebhook('that has expired', 401, (member) => signed(leftBody(member), { exp: now() - 120 })),
  refusedWebhook('from the future', 401, (member) => signed(leftBody(member), { nbf: now() + 300 })),
  refusedWebhook('that never expires', 401, (member) => signed(leftBody(member), { exp: undefined })),
  refusedWebhook('without a hash of its body', 401, (member) => signed(leftBody(member), { sha256: undefined })),
  refusedWebhook('whose hash is no text', 401, (member) => signed(leftBody(member), { sha256: { $ne: '' } })),
  refusedWebhook('whose body was changed', 401, (member) => {
    const body = leftBody(member)
    return { body, token: webhookToken(livekit, webhookBody('track_published', member)) }
  }),
  refusedWebhook('with the token of a participant', 401, async (member) => {
    const { body } = await member.user.ask('POST', '/_matrix/client/v1/rtc/livekit/get_token', {
      ...{ room_id: member.roomId, slot_id: SLOT, url: 'wss://livekit.example.org', member_id: 'member 1' },
    })
    expect(body).toHaveProperty('jwt')
    return { body: leftBody(member), token: body.jwt }
  }),
  refusedWebhook('with a token of 12 KiB', 401, (member) => ({ body: leftBody(member), token: 'x'.repeat(12_288) })),
  refusedWebhook('that is no JSON', 400, () => signed('{"event":')),
  refusedWebhook('that is a list', 400, () => signed('[]')),
  refusedWebhook('with names of other types', 400, () => signed('{"event":"participant_left","room":{"name":1}}')),
  refusedWebhook('with NUL in its names', 400, (member) =>
    signed(webhookBody('participant_left', { room: `${member.room}\0`, identity: '\0' })),
  ),
  refusedWebhook('of 11 MiB', 413, (member) => signed(leftBody(member) + ' '.repeat(11 * MIB))),
  refusedWebhook('about another room', 200, (member) => signed(leftBody({ ...member, room: 'another' }))),
  refusedWebhook('about half an identity', 200, (member) =>
    signed(leftBody({ ...member, identity: member.identity.slice(0, -1) })),
  ),
  refusedWebhook('about a wildcard', 200, (member) => signed(leftBody({ ...member, identity: '%' }))),
  refusedWebhook('that lies about a participant whom LiveKit still has', 200, (member) => signed(leftBody(member))),
  refusedWebhook('that lies about the end of a room', 200, ({ room }) =>
    signed(webhookBody('room_finished', { room })),
  ),
  {
    name: 'a webhook that is replayed twenty times after the participant returned',
    async attempt(world) {
      const member = await connectedMember(world)
      const { body, token } = signed(leftBody(member))
      const replays = Array.from({ length: 20 }, () => sendWebhook(world.url, body, token))
      for (const { status } of await Promise.all(replays)) expect(status).toBe(200)
      expect(await isInCall(member)).toBe(true)
      await scheduledSince(member)
    },
  },
]

/** A request to hand over a leave event that is refused, and after which the event of a bystander is as before. */
function refusedHandover(
  name: string,
  expected: { status: number; errcode: string },
  attempt: (world: HostileWorld, victim: CallMember, attacker: TestUser) => Promise<{ status: number; body: unknown }>,
): Attack {
  return {
    name: `handing over ${name}`,
    async attempt(world) {
      const victim = await victimOf(world)
      const since = await scheduledSince(victim)
      const { status, body } = await attempt(world, victim, await attackerOf(world))
      expect([status, body]).toEqual([expected.status, expect.objectContaining({ errcode: expected.errcode })])
      expect(await scheduledSince(victim)).toBe(since)
    },
  }
}

const BAD = { status: 400, errcode: 'M_BAD_JSON' }
const FORBIDDEN = { status: 403, errcode: 'M_FORBIDDEN' }
const UNAUTHORIZED = { status: 401, errcode: 'M_UNAUTHORIZED' }

/** Hands an event over by the service. `as`: whom the request claims to be. */
async function byService(world: HostileWorld, attacker: TestUser, as: TestUser, changes: object): Promise<Answer> {
  const member = { id: 'member 1', claimed_user_id: as.userId, claimed_device_id: as.deviceId }
  const body = { room_id: world.roomId, slot_id: SLOT, openid_token: await openIdToken(attacker), member }
  return askService(world.url, '/delegate_delayed_leave', { ...body, delay_timeout: 60_000, ...changes })
}
type Answer = Awaited<ReturnType<typeof ask>>

const HANDOVERS: Attack[] = [
  refusedHandover("another user's event", BAD, (_, victim, user) => handOver({ ...victim, user })),
  refusedHandover("another user's event by the service", BAD, (world, { delayId: delay_id }, attacker) =>
    byService(world, attacker, attacker, { delay_id }),
  ),
  refusedHandover("an event in another user's name", UNAUTHORIZED, (world, { delayId: delay_id, user }, attacker) =>
    byService(world, attacker, user, { delay_id }),
  ),
  refusedHandover(
    'an event with an access token in place of an OpenID token',
    UNAUTHORIZED,
    (world, victim, attacker) => {
      const openid_token = { access_token: attacker.accessToken, matrix_server_name: world.home.serverName }
      return byService(world, attacker, attacker, { delay_id: victim.delayId, openid_token })
    },
  ),
  refusedHandover('an event from outside the room', FORBIDDEN, async ({ url }, victim) =>
    handOver({ ...victim, user: await registerUser(url) }),
  ),
  refusedHandover('an event for the LiveKit of another server', FORBIDDEN, (_, victim) =>
    handOver(victim, { url: 'wss://other.example.org' }),
  ),
  ...[
    { delay_timeout: -1 },
    { delay_timeout: Number.MAX_VALUE },
    { delay_id: '' },
    { delay_id: 'x'.repeat(256) },
    { delay_id: '\0' },
    { room_id: '!x\0:y' },
  ].map((changes) =>
    refusedHandover(`an event with ${JSON.stringify(changes).slice(0, 40)}`, BAD, (world, { delayId }, attacker) =>
      byService(world, attacker, attacker, { delay_id: delayId, ...changes }),
    ),
  ),
  {
    name: `more than ${MOST} events of one user`,
    async attempt(world) {
      const user = await registerUser(world.url)
      const rooms = await Promise.all(Array.from({ length: MOST + 1 }, () => createRoom(user)))
      const members = await Promise.all(rooms.map((roomId) => joinCall(user, roomId)))
      const last = members.pop()!
      for (const member of members) expect((await handOver(member)).status).toBe(200)
      expect(await handOver(last)).toMatchObject({ status: 400, body: { errcode: 'M_BAD_JSON' } })
      expect((await handOver(members[0]!)).status).toBe(200)
    },
  },
]

/**
 * An event that a remote user hands over, and that is refused. Their server is asked for nothing but the event. `canary`
 * is an address that must not be visited.
 */
function remoteHandover(
  name: string,
  { delay_id = 'remote', changes = () => ({}), wellKnown, status = 400 }: RemoteAttack,
): Attack {
  return {
    name: `a remote user's event ${name}`,
    async attempt(world) {
      const { peer, roomId } = world
      peer.answers.clear()
      peer.paths.length = 0
      peer.answers.set(USERINFO, { status: 200, body: { sub: peer.userId } })
      const canary = `https://${peer.serverName}/canary`
      if (wellKnown) peer.answers.set(WELL_KNOWN, { status: 200, body: wellKnown(canary, peer.serverName) })
      const victim = await victimOf(world)
      const since = await scheduledSince(victim)
      const openid_token = { access_token: 'secret', matrix_server_name: peer.serverName }
      const member = { id: 'member 1', claimed_user_id: peer.userId, claimed_device_id: 'PHONE' }
      const body = { room_id: roomId, slot_id: SLOT, openid_token, member, delay_timeout: 60_000 }
      const id = delay_id === 'of a local user' ? victim.delayId : delay_id
      const more = changes(canary)
      const answer = await askService(world.url, '/delegate_delayed_leave', { ...body, delay_id: id, ...more })
      expect([answer.status, answer.body.errcode]).toEqual([status, status === 401 ? 'M_UNAUTHORIZED' : 'M_BAD_JSON'])
      const expected = ['/_matrix/key/v2/server', USERINFO, WELL_KNOWN]
      const others = peer.paths.filter((path) => !expected.includes(path) && !path.startsWith(SEND))
      for (const path of others) expect(path).toBe(`${DELAYED}/${encodeURIComponent(id)}/restart`)
      expect(await scheduledSince(victim)).toBe(since)
    },
  }
}

const SEND = '/_matrix/federation/v1/send/'
type RemoteAttack = {
  delay_id?: string
  changes?: (canary: string) => object
  wellKnown?: (canary: string, serverName: string) => object
  status?: number
}
const baseUrl = (base_url: unknown) => ({ 'm.homeserver': { base_url } })

const REMOTE: Attack[] = [
  ['with an address of its own in delay_cs_api_url', { changes: (url: string) => ({ delay_cs_api_url: url }) }],
  ['that is one of a local user', { delay_id: 'of a local user' }],
  ['whose ID leads upwards', { delay_id: '../../../canary' }],
  ['whose ID is a folder', { delay_id: '..' }],
  ['whose ID has a query', { delay_id: 'a?b#c' }],
  ['of a server with a client API by HTTP', { wellKnown: (url: string) => baseUrl(url.replace('https', 'http')) }],
  ['of a server with a client API in a file', { wellKnown: () => baseUrl('file:///etc/passwd') }],
  ['of a server with a client API that is no text', { wellKnown: () => baseUrl(['x']) }],
  ['of a server with a client API of 1 MiB', { wellKnown: (url: string) => baseUrl(url + 'x'.repeat(MIB)) }],
  [
    'of a server with a password in its client API',
    { wellKnown: (_: string, name: string) => baseUrl(`https://a:b@${name}/?x=#y`) },
  ],
  [
    'of a user whom another server confirms',
    { changes: () => ({ openid_token: { access_token: 'x', matrix_server_name: 'localhost:1' } }), status: 401 },
  ],
].map(([name, attack]) => remoteHandover(name as string, attack as RemoteAttack))

/** An answer of LiveKit that is wrong, after which a participant stays for the grace period. */
function lyingLivekit(name: string, text: string): Attack {
  return {
    name: `LiveKit lists ${name}`,
    async attempt(world) {
      const member = await connectedMember(world)
      livekit.behave({ text })
      try {
        const { body, token } = signed(webhookBody('participant_joined', member))
        expect((await sendWebhook(world.url, body, token)).status).toBe(200)
        expect(await isInCall(member)).toBe(true)
        await scheduledSince(member)
      } finally {
        livekit.behave('properly')
      }
    },
  }
}

const LIES: Attack[] = [
  lyingLivekit('nothing', ''),
  lyingLivekit('no JSON', '<html>'),
  lyingLivekit('null', 'null'),
  lyingLivekit('participants that are no list', '{"participants":{"length":1}}'),
  lyingLivekit('participants without identities', '{"participants":[{},null]}'),
  lyingLivekit('others', JSON.stringify({ participants: [{ identity: '__proto__' }, { identity: hashOf(['x']) }] })),
  lyingLivekit(
    '2 MiB of participants',
    JSON.stringify({ participants: Array(40_000).fill({ identity: 'x'.repeat(30) }) }),
  ),
]

describeAttacks('calls', [...WEBHOOKS, ...HANDOVERS, ...REMOTE, ...LIES], {
  rate_limits: { enabled: false },
  limits: { counts: { delegated_leaves: MOST } },
  calls: {
    livekit: {
      url: 'wss://livekit.example.org',
      api_url: livekit.apiUrl,
      api_key: livekit.apiKey,
      api_secret: livekit.secret,
      grace_period: '60s',
    },
  },
})
