import type { ServerResponse } from 'node:http'
import { expect } from 'vitest'
import type { EventId, ServerName } from '../../testing/matrix/pdu.ts'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText } from '../harness/client.ts'
import { CLOCK_ATTACKS } from '../harness/federation-attacks/clocks.ts'
import {
  expectRefused,
  inventedId,
  type Mallory,
  malloryIn,
  name,
  newMallory,
  type Stage,
  stageIn,
} from '../harness/federation-attacks/mallory.ts'
import { HTTP_ATTACKS, OUTBOX_ATTACKS } from '../harness/federation-attacks/odd-answers.ts'
import { type Attack, describeAttacks, type HostileWorld } from '../harness/hostile-world.ts'
import { answerBadly, type LyingServer, signedRequest } from '../harness/lying-server.ts'
import type { PeerRoom } from '../harness/peer-room.ts'
import { createRoom, eventPath, hasEvent, joinRoom, roomPath, sendState, v3 } from '../harness/rooms.ts'
import { startStub, startTarpit } from '../harness/stub-server.ts'
import { prepareMember, visitRoom } from '../harness/visit-room.ts'

/**
 * A second audit: attacks that the tables of single subjects lack. docs/security-tests.md lists the attacks and their
 * results.
 */
const text = (body: string) => ({ content: { msgtype: 'm.text', body } })
const profileOf = (userId: string, displayname: string) => ({
  type: 'm.room.member',
  state_key: userId,
  sender: userId,
  content: { membership: 'join', displayname },
})

/** Adds a further new server to a room of Alice. */
async function secondGuest(world: HostileWorld, roomId: string): Promise<Mallory & { room: PeerRoom }> {
  const other = await newMallory(world)
  const { room } = await visitRoom(other.peer, world.home, { roomId })
  return { ...other, room }
}

async function expectHeard({ world }: Pick<Mallory, 'world'>, event: { room_id: string; event_id: string }) {
  await pollUntil('Alice gets the event', () => hasEvent(world.alice, event))
}

const HELP = ['missing_events', 'event', 'state_ids', 'state', 'event_auth', 'backfill'] as const
const SMALL_INBOX = 512 * 1024

const FLOODS: Attack[] = [
  {
    name: 'three hundred forks, each of another state: no more of them count than a hundred, and none of another server goes',
    async attempt(world) {
      const stage = await stageIn(world)
      const other = await secondGuest(world, stage.roomId)
      const from = stage.room.latest.event_id
      const honest = other.room.make(text('honest'))
      await other.peer.send(world.home, [honest])
      const forks = Array.from({ length: 300 }, (_, i) =>
        stage.room.make({ ...profileOf(stage.userId, `${i}`), prev_events: [from] }),
      )
      for (let start = 0; start < forks.length; start += 50)
        await stage.peer.send(world.home, forks.slice(start, start + 50))
      await expectHeard(stage, forks.at(-1)!)
      await expectHeard(stage, honest)
      const followed = new Set<EventId>()
      let last: readonly EventId[] = []
      // Each event has at most twenty prev events.
      for (let i = 0; i < 8; i++) {
        const id = (await sendText(world.alice, stage.roomId, `${i}`)) as EventId
        const { prev_event_ids } = await pollUntil('the server hears it', () => stage.room.find(id))
        for (const prev of prev_event_ids) followed.add(prev)
        last = prev_event_ids
      }
      expect(last).toHaveLength(1)
      expect(followed).toContain(honest.event_id)
    },
  },
  {
    name: 'a state with users of a thousand servers that never answer for their keys: no more are asked than one server may have asked',
    async attempt(world) {
      const tarpit = await startTarpit()
      const stage = await stageIn(world)
      const members = tarpit.names(1000).map((server) => {
        const signer = { ...stage.peer.signer, serverName: server as ServerName }
        return stage.room.make({ ...profileOf(`@x:${server}`, 'x'), signer })
      })
      stage.peer.lie('state_ids', () => ({ pdu_ids: members.map(({ event_id }) => event_id), auth_chain_ids: [] }))
      stage.peer.lie('state', () => ({ pdus: members.map(({ pdu }) => pdu), auth_chain: [] }))
      stage.peer.lie('missing_events', () => ({ events: [] }))
      const gap = stage.room.make({ ...text('gap'), prev_events: [inventedId('older')] })
      const head = stage.room.make({ ...text('head'), prev_events: [gap.event_id] })
      await stage.peer.send(world.home, [head])
      await pollUntil('keys are asked for', () => tarpit.open() >= 32)
      // In the meantime, a gap of another server is filled, in which a third one joins.
      const roomId = await createRoom(world.alice)
      const other = await secondGuest(world, roomId)
      const third = await newMallory(world)
      const join = other.room.add({ ...profileOf(third.userId, 'third'), signer: third.peer.signer })
      const message = other.room.add(text('message'))
      await other.peer.send(world.home, [message])
      await expectHeard(stage, join)
      expect(tarpit.most()).toBe(32)
      for (const kind of HELP) stage.peer.lie(kind, undefined)
      tarpit.close()
    },
  },
  {
    name: 'events without end that follow what nobody has: those of others are taken in, and the server’s own later',
    async attempt(world) {
      const mallory = await newMallory(world)
      const roomId = await createRoom(world.alice)
      const { room } = await visitRoom(mallory.peer, world.home, { roomId })
      for (const kind of HELP) mallory.peer.lie(kind, (_, response) => answerBadly(response, 'silent'))
      // Incompressible.
      const filling = () => Buffer.from(crypto.getRandomValues(new Uint8Array(24_000))).toString('base64')
      const flood = () => room.make({ ...text(filling()), prev_events: [inventedId(`${Math.random()}`)] })
      const sendOne = async () =>
        mallory.ask('PUT', `v1/send/${Math.random()}`, {
          origin: mallory.peer.serverName,
          origin_server_ts: Date.now(),
          pdus: [flood().pdu],
        })
      let refused = await sendOne()
      for (let sent = 1; refused.status === 200; sent++) {
        expect(sent).toBeLessThan((2 * SMALL_INBOX) / 24_000)
        refused = await sendOne()
      }
      expectRefused(refused, 429, 'M_LIMIT_EXCEEDED')
      expect(refused.body.retry_after_ms).toBeGreaterThan(0)
      const other = await secondGuest(world, roomId)
      const honest = other.room.make(text('honest'))
      await other.peer.send(world.home, [honest])
      await expectHeard(mallory, honest)
      // EDUs of the server still have an effect.
      await mallory.peer.sendEdus(world.home)
    },
  },
  {
    name: 'a gap of a thousand events: no more than some are asked for',
    async attempt(world) {
      const stage = await stageIn(world)
      const before = stage.peer.asked.length
      const last = stage.room.say(1000).at(-1)!
      await stage.peer.send(world.home, [last])
      await expectHeard(stage, last)
      expect(stage.peer.asked.length - before).toBeLessThan(60)
    },
  },
  {
    name: 'lists of devices of five hundred users who share no room: nobody is asked for them',
    async attempt(world) {
      const mallory = await malloryIn(world)
      const before = mallory.peer.count('devices') + mallory.peer.count('query_keys')
      const edus = Array.from({ length: 500 }, (_, i) => ({
        edu_type: 'm.device_list_update',
        content: { user_id: `@nobody${i}:${mallory.peer.serverName}`, device_id: 'X', stream_id: 5, prev_id: [4] },
      }))
      for (let start = 0; start < edus.length; start += 100)
        await mallory.peer.sendEdus(world.home, ...edus.slice(start, start + 100))
      expect(mallory.peer.count('devices') + mallory.peer.count('query_keys')).toBe(before)
    },
  },
]

/** Begins a response that never ends, with back-pressure. */
function endlessly(response: ServerResponse): unknown {
  response.writeHead(200).write('{"pdu_ids":[')
  const timer = setInterval(() => response.write(' '.repeat(2048)), 500)
  return new Promise((resolve) => {
    response.once('close', () => {
      clearInterval(timer)
      resolve(undefined)
    })
  })
}

/** Returns a row about a join through a server that sends a false room: `change` alters its response. */
function lyingJoin(
  what: string,
  expected: number,
  change: (
    answer: Record<string, unknown>,
    stage: { room: PeerRoom; peer: LyingServer; world: HostileWorld },
  ) => object,
  kind: 'make_join' | 'send_join' = 'send_join',
): Attack {
  return {
    name: `a resident that hands over ${what}`,
    async attempt(world) {
      const { peer } = await newMallory(world)
      const room = peer.room({ version: '11' })
      peer.lie(kind, (asked) => change({ ...(peer.honestly(asked) as object) }, { room, peer, world }))
      const carol = await registerUser(world.url)
      const path = `${v3}/join/${name(room.roomId)}?via=${name(peer.serverName)}`
      const joined = await carol.ask('POST', path, {})
      expect([joined.status, joined.body.error]).toEqual([expected, expected === 200 ? undefined : expect.any(String)])
      for (const user of expected === 200 ? [world.bob] : [world.bob, carol]) {
        const { rooms } = await user.get(`${v3}/sync?timeout=0`)
        expect(rooms?.join ?? {}).not.toHaveProperty([room.roomId])
      }
    },
  }
}

/** Returns an event of the room for any user, signed by the hostile server. */
const forgedMember = (room: PeerRoom, peer: LyingServer, [userId, server]: [string, string]) =>
  room.make({ ...profileOf(userId, 'x'), signer: { ...peer.signer, serverName: server as ServerName } }).pdu

const JOINS: Attack[] = [
  lyingJoin('another version of the room', 502, (answer) => ({ ...answer, room_version: '10' }), 'make_join'),
  lyingJoin('a version that nobody has', 400, (answer) => ({ ...answer, room_version: '../12' }), 'make_join'),
  lyingJoin('a state in which Bob is', 200, (answer, { room, peer, world }) => {
    const bob = forgedMember(room, peer, [world.bob.userId, world.home.serverName])
    return { ...answer, state: [...(answer.state as object[]), bob] }
  }),
  lyingJoin('a state in which Bob is, and no other members', 200, (answer, { room, peer, world }) => {
    const bob = forgedMember(room, peer, [world.bob.userId, world.home.serverName])
    return {
      ...answer,
      members_omitted: true,
      servers_in_room: [world.home.serverName, peer.serverName],
      state: [...(answer.state as object[]), bob],
    }
  }),
  lyingJoin('a state of a thousand events that are none', 200, (answer) => ({
    ...answer,
    state: [...(answer.state as object[]), ...Array.from({ length: 1000 }, (_, i) => (i % 2 ? null : { a: i }))],
  })),
  {
    name: 'a resident that says only later, when it tells all members, that Bob is among them',
    async attempt(world) {
      const { peer } = await newMallory(world)
      const room = peer.room()
      const signer = { ...peer.signer, serverName: world.home.serverName as ServerName }
      const bob = room.make({ ...profileOf(world.bob.userId, 'x'), signer })
      peer.lie('send_join', (asked) => ({
        ...(peer.honestly(asked) as object),
        members_omitted: true,
        servers_in_room: [peer.serverName],
      }))
      peer.lie('state_ids', (asked) => {
        const honest = peer.honestly(asked) as { pdu_ids: string[] }
        return { ...honest, pdu_ids: [...honest.pdu_ids, bob.event_id] }
      })
      await world.alice.post(`${v3}/join/${name(room.roomId)}?via=${name(peer.serverName)}`)
      const { joined } = await pollUntil('all members are known', () =>
        world.alice.get(roomPath(room.roomId, 'joined_members')),
      )
      expect(Object.keys(joined).sort()).toEqual([room.creator, world.alice.userId].sort())
      const { rooms } = await world.bob.get(`${v3}/sync?timeout=0`)
      expect(rooms?.join ?? {}).not.toHaveProperty([room.roomId])
    },
  },
  {
    name: 'eight rooms whose members a resident tells without end: the members of others’ rooms are fetched meanwhile',
    async attempt(world) {
      const withoutMembers = async () => {
        const { peer } = await newMallory(world)
        peer.lie('send_join', (asked) => ({
          ...(peer.honestly(asked) as object),
          members_omitted: true,
          servers_in_room: [peer.serverName],
        }))
        const join = async () => {
          const { roomId } = peer.room()
          await world.alice.post(`${v3}/join/${name(roomId)}?via=${name(peer.serverName)}`)
          return roomId
        }
        return { peer, join }
      }
      const hostile = await withoutMembers()
      for (const kind of ['state_ids', 'state'] as const) hostile.peer.lie(kind, (_, response) => endlessly(response))
      for (let i = 0; i < 8 * world.processes.length; i++) await hostile.join()
      await pollUntil('members are asked for', () => hostile.peer.count('state_ids') >= 4)
      const roomId = await (await withoutMembers()).join()
      const members = () => world.alice.get(roomPath(roomId, 'joined_members'))
      await pollUntil('all members are known', members, 10_000)
      for (const kind of ['state_ids', 'state'] as const) hostile.peer.lie(kind, undefined)
    },
  },
  {
    name: 'an alias with five thousand servers',
    async attempt(world) {
      const { peer } = await newMallory(world)
      const room = peer.room()
      const servers = Array.from({ length: 5000 }, (_, i) => `s${i}.test`)
      peer.lie('directory', () => ({ room_id: room.roomId, servers: [null, 5, '', '../x', ...servers] }))
      const answer = await world.alice.get(`${v3}/directory/room/${name(`#x:${peer.serverName}`)}`)
      expect(answer.servers).toHaveLength(50)
      expect(answer.servers[0]).toBe(peer.serverName)
    },
  },
  {
    name: 'a join into a restricted room by a user who has left the room that lets in, since the template',
    async attempt(world) {
      const allowed = await createRoom(world.alice)
      const rules = { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: allowed }] }
      const initial_state = [{ type: 'm.room.join_rules', content: rules }]
      const roomId = await createRoom(world.alice, { preset: 'private_chat', initial_state })
      const mallory = await newMallory(world)
      await visitRoom(mallory.peer, world.home, { roomId: allowed })
      const { event } = await prepareMember(mallory.peer, world.home, { roomId, membership: 'join' })
      await world.alice.post(roomPath(allowed, 'kick'), { user_id: mallory.userId })
      const answer = await mallory.ask('PUT', `v2/send_join/${name(roomId)}/${name(event.event_id)}`, event.pdu)
      expectRefused(answer, 403, 'M_FORBIDDEN')
      await mallory.peer.send(world.home, [event])
      const path = roomPath(roomId, `state/m.room.member/${name(mallory.userId)}`)
      expect((await world.alice.ask('GET', path)).status).toBe(404)
    },
  },
  {
    name: 'a join into a restricted room that lets members of a room in where this server is not',
    async attempt(world) {
      const mallory = await newMallory(world)
      const elsewhere = mallory.peer.room()
      const rules = { join_rule: 'knock_restricted', allow: [{ type: 'm.room_membership', room_id: elsewhere.roomId }] }
      const initial_state = [{ type: 'm.room.join_rules', content: rules }]
      const roomId = await createRoom(world.alice, { preset: 'private_chat', initial_state })
      const path = `v1/make_join/${name(roomId)}/${name(mallory.userId)}?ver=12`
      expectRefused(await mallory.ask('GET', path), 400, 'M_UNABLE_TO_AUTHORISE_JOIN')
    },
  },
]

/** Requests with which a server reads a room. */
const reading = (roomId: string, eventId: string): [string, string, object?][] => [
  ['GET', `v1/event/${name(eventId)}`],
  ['GET', `v1/state/${name(roomId)}?event_id=${name(eventId)}`],
  ['GET', `v1/state_ids/${name(roomId)}?event_id=${name(eventId)}`],
  ['GET', `v1/event_auth/${name(roomId)}/${name(eventId)}`],
  ['GET', `v1/backfill/${name(roomId)}?v=${name(eventId)}&limit=10`],
  ['POST', `v1/get_missing_events/${name(roomId)}`, { earliest_events: [], latest_events: [eventId], limit: 10 }],
  ['GET', `v1/timestamp_to_event/${name(roomId)}?ts=1&dir=f`],
]

function cannotRead(what: string, leave: (stage: Stage) => Promise<unknown>): Attack {
  return {
    name: `a server ${what} reads on`,
    async attempt(world) {
      const stage = await stageIn(world)
      await leave(stage)
      const eventId = await sendText(world.alice, stage.roomId, 'secret')
      for (const [method, path, body] of reading(stage.roomId, eventId))
        expectRefused(await stage.ask(method, path, body), 403, 'M_FORBIDDEN')
    },
  }
}

const READING: Attack[] = [
  cannotRead('that has left', async ({ room, peer, world, userId }) => {
    const leave = room.make({ ...profileOf(userId, ''), content: { membership: 'leave' } })
    await peer.send(world.home, [leave])
    await pollUntil('it is gone', async () => {
      const { joined } = await world.alice.get(roomPath(room.roomId, 'joined_members'))
      return !(userId in joined)
    })
  }),
  cannotRead('whose user is banned', ({ roomId, userId, world }) =>
    world.alice.post(roomPath(roomId, 'ban'), { user_id: userId }),
  ),
  cannotRead('that an ACL denies with a dot behind it and in capitals', ({ roomId, world }) =>
    sendState(world.alice, roomId, { type: 'm.room.server_acl', content: { allow: ['*'], deny: ['LOCALHOST'] } }),
  ),
  {
    name: 'summaries and spaces of a closed room, by a server outside',
    async attempt(world) {
      const mallory = await malloryIn(world)
      const roomId = await createRoom(world.alice, { preset: 'private_chat', name: 'secret', invite: [] })
      for (const path of [`v1/hierarchy/${name(roomId)}`, `v1/hierarchy/${name(roomId)}?suggested_only=true`])
        expectRefused(await mallory.ask('GET', path), 404, 'M_NOT_FOUND')
      const { body } = await mallory.ask('GET', 'v1/publicRooms?limit=1000')
      expect(JSON.stringify(body)).not.toContain('secret')
    },
  },
]

const NAMES: Attack[] = [
  ...(
    [
      ['in capitals', ({ serverName }: HostileWorld['home']) => serverName.toUpperCase()],
      ['with a dot at its end', ({ serverName }: HostileWorld['home']) => serverName.replace(':', '.:')],
    ] as const
  ).map(
    ([what, change]): Attack => ({
      name: `the homeserver’s own name ${what} is another server, and nobody of it is heard`,
      async attempt(world) {
        const origin = change(world.home) as ServerName
        expect(origin).not.toBe(world.home.serverName)
        const path = `/_matrix/federation/v1/query/profile?user_id=${name(world.alice.userId)}`
        expectRefused(await signedRequest(world.federation, world.home, { origin, path }), 401, 'M_UNAUTHORIZED')
        const mallory = await malloryIn(world)
        const alice = world.alice.userId.replace(world.home.serverName, origin)
        expectRefused(await mallory.ask('GET', `v1/query/profile?user_id=${name(alice)}`), 404, 'M_NOT_FOUND')
      },
    }),
  ),
  {
    name: 'a transaction whose id comes again with other content',
    async attempt(world) {
      const stage = await stageIn(world)
      const [first, second] = [stage.room.make(text('first')), stage.room.make(text('second'))]
      const txnId = first.event_id.slice(1)
      const answer = await stage.peer.send(world.home, [first], txnId)
      expect(await stage.peer.send(world.home, [second], txnId)).toEqual(answer)
      await expectHeard(stage, first)
      const { status } = await world.alice.ask('GET', roomPath(stage.roomId, eventPath('event', second.event_id)))
      expect(status).toBe(404)
    },
  },
  ...[-1, 0, 2 ** 53 - 1].map(
    (origin_server_ts): Attack => ({
      name: `a transaction from the time ${origin_server_ts}`,
      async attempt(world) {
        const stage = await stageIn(world)
        const event = stage.room.make(text('x'))
        const body = { origin: stage.peer.serverName, origin_server_ts, pdus: [event.pdu] }
        const { status } = await stage.ask('PUT', `v1/send/${Math.random()}`, body)
        expect(status).toBe(200)
        await expectHeard(stage, event)
      },
    }),
  ),
  {
    name: 'a third-party invite whose keys are to be checked at an address of the inviter’s choice',
    async attempt(world) {
      const stub = await startStub(world.federation, (_, response) => response.end('{"valid":true}'))
      const stage = await stageIn(world, { preset: 'public_chat' })
      const url = `https://${stub.name}/valid`
      const key = { public_key: 'A'.repeat(43), key_validity_url: url }
      const content = { display_name: 'x', ...key, public_keys: [key] }
      await sendState(world.alice, stage.roomId, { type: 'm.room.third_party_invite', key: 'token', content })
      const signed = { mxid: `@y:${stage.peer.serverName}`, token: 'token', signatures: { x: { 'ed25519:0': 'A' } } }
      const body = {
        type: 'm.room.member',
        room_id: stage.roomId,
        sender: world.alice.userId,
        state_key: signed.mxid,
        content: { membership: 'invite', third_party_invite: { display_name: 'x', signed } },
      }
      const answer = await stage.ask('PUT', `v1/exchange_third_party_invite/${name(stage.roomId)}`, body)
      expect(answer.status).toBe(403)
      expect(stub.asked).toEqual([])
      stub.close()
    },
  },
  {
    name: 'a room whose policy server never answers: other rooms of the same server go on',
    async attempt(world) {
      const tarpit = await startTarpit()
      const stage = await stageIn(world)
      const content = { via: tarpit.name, public_keys: { ed25519: 'A'.repeat(43) } }
      await sendState(world.alice, stage.roomId, { type: 'm.room.policy', content })
      const held = stage.room.make(text('held'))
      const free = await createRoom(world.alice)
      const { room } = await visitRoom(stage.peer, world.home, { roomId: free })
      await joinRoom(free, world.bob)
      const message = room.make(text('free'))
      await stage.peer.send(world.home, [held, message])
      await expectHeard(stage, message)
      tarpit.close()
    },
  },
]

describeAttacks(
  'federation, second audit',
  [...FLOODS, ...OUTBOX_ATTACKS, ...JOINS, ...READING, ...NAMES, ...HTTP_ATTACKS, ...CLOCK_ATTACKS],
  {
    limits: { totals: { server_inbox: SMALL_INBOX } },
  },
)
