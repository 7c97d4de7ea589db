import { readFileSync } from 'node:fs'
import { expect } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { type Answer, ask, registerUser, sendText, type TestUser } from '../harness/client.ts'
import { type Attack, describeAttacks, type HostileWorld } from '../harness/hostile-world.ts'
import { createRoom, joinRoom, roomPath, v1, v3 } from '../harness/rooms.ts'

const SLIDING = '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync'

/** Returns an object with many keys. */
function many<Held>(count: number, nameOf: (place: number) => string, value: Held): Record<string, Held> {
  return Object.fromEntries(Array.from({ length: count }, (_, place) => [nameOf(place), value]))
}

const device = (place: number) => `DEVICE${place}`
const remoteUser = (place: number) => `@user${place}:nowhere.invalid`

/** Returns the CPU time of the processes, in milliseconds. */
function processorTime({ processes }: HostileWorld): number {
  const ticks = processes.map(({ pid }) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
    return Number(fields[11]) + Number(fields[12])
  })
  return ticks.reduce((sum, each) => sum + each) * 10
}

async function refused(user: TestUser, path: string, body: object): Promise<void> {
  const answer = await user.ask('POST', path, body)
  expect(answer).toMatchObject({ status: 413, body: { errcode: 'M_TOO_LARGE' } })
}

async function refusedToPeer({ peer, home }: HostileWorld, path: string, body: object): Promise<void> {
  const answer = await peer.send(home, { method: 'POST', path, body: JSON.stringify(body) })
  expect(answer.status).toBe(413)
  expect(JSON.parse(answer.text).errcode).toBe('M_TOO_LARGE')
}

const KEYS: Attack[] = [
  {
    name: 'one-time keys of 8,000 devices of a user of another server',
    async attempt(world) {
      const before = processorTime(world)
      await world.alice.post(`${v3}/keys/claim`, {
        one_time_keys: { [remoteUser(1)]: many(8000, device, 'signed_curve25519') },
        timeout: 1,
      })
      expect(processorTime(world) - before).toBeLessThan(3000)
    },
  },
  {
    name: 'more claims of one-time keys than a request may have, of a local user',
    attempt: ({ alice, bob }) =>
      refused(alice, `${v3}/keys/claim`, {
        one_time_keys: { [bob.userId]: many(10_001, device, 'signed_curve25519') },
      }),
  },
  {
    name: 'more claims than a request may have, of users of other servers',
    attempt: ({ alice }) =>
      refused(alice, `${v3}/keys/claim`, { one_time_keys: many(10_001, remoteUser, { D: 'signed_curve25519' }) }),
  },
  {
    name: 'more claims by another server than a request may have',
    attempt: (world) =>
      refusedToPeer(world, '/_matrix/federation/v1/user/keys/claim', {
        one_time_keys: { [world.bob.userId]: many(10_001, device, 'signed_curve25519') },
      }),
  },
  {
    name: 'a query of the keys of more users than a request may name',
    attempt: ({ alice }) => refused(alice, `${v3}/keys/query`, { device_keys: many(50_001, remoteUser, []) }),
  },
  {
    name: 'a query of the keys of more devices than a request may name',
    attempt: ({ alice, bob }) =>
      refused(alice, `${v3}/keys/query`, {
        device_keys: { [bob.userId]: Array.from({ length: 50_001 }, (_, i) => `${i}`) },
      }),
  },
  {
    name: 'a query by another server of more than a request may name',
    attempt: (world) =>
      refusedToPeer(world, '/_matrix/federation/v1/user/keys/query', {
        device_keys: { [world.bob.userId]: Array.from({ length: 50_001 }, (_, i) => `${i}`) },
      }),
  },
]

const STORED: Attack[] = [
  {
    name: 'authentication sessions that a user begins and does not finish',
    async attempt({ url, bob }) {
      const attacker = await registerUser(url)
      const body = { devices: ['D'] }
      const begin = async (user: TestUser) => (await user.ask('POST', `${v3}/delete_devices`, body)).body.session
      const proof = (user: TestUser, session: string) => ({
        type: 'm.login.password',
        session,
        identifier: { type: 'm.id.user', user: user.userId },
        password: 'correct horse battery',
      })
      const finish = (user: TestUser, session: string) =>
        user.ask('POST', `${v3}/delete_devices`, { ...body, auth: proof(user, session) })
      const [other, first] = [await begin(bob), await begin(attacker)]
      for (let n = 0; n < 50; n++) await begin(attacker)
      const last = await begin(attacker)
      expect((await finish(attacker, first)).status).toBe(400)
      expect((await finish(attacker, last)).status).toBe(200)
      expect((await finish(bob, other)).status).toBe(200)
    },
  },
  {
    name: 'aliases without end for one room',
    async attempt({ alice, bob, processes }) {
      const [roomId, other] = [await createRoom(alice), await createRoom(bob)]
      const server = alice.userId.split(':').slice(1).join(':')
      const set = (user: TestUser, name: string, room_id: string) =>
        user.ask('PUT', `${v3}/directory/room/${encodeURIComponent(`#${name}-${roomId.slice(1, 9)}:${server}`)}`, {
          room_id,
        })
      const answers = await Promise.all(Array.from({ length: 25 }, (_, n) => set(alice, `flood${n}`, roomId)))
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(20)
      expect(answers.find(({ status }) => status !== 200)?.body.errcode).toBe('M_TOO_LARGE')
      expect((await alice.get(roomPath(roomId, 'aliases'))).aliases).toHaveLength(20)
      expect((await set(bob, 'other', other)).status).toBe(200)
      expect(processes.length).toBeGreaterThan(0)
    },
  },
]

/** Rendezvous sessions that anonymous clients create and leave open. */
const RENDEZVOUS: Attack[] = [
  ['org.matrix.msc4108', 'text/plain'],
  ['io.element.msc4388', 'application/json'],
].map(([name, type], place) => ({
  name: `sessions of ${name} from the many networks of one /48`,
  async attempt({ url, alice }) {
    const begin = async (from: string, more: Record<string, string> = {}) => {
      const response = await fetch(`${url}/_matrix/client/unstable/${name}/rendezvous`, {
        method: 'POST',
        headers: { 'Content-Type': type!, 'X-Forwarded-For': from, ...more },
        body: '{"data":"x"}',
      })
      return { status: response.status, body: (await response.json()) as Answer['body'] }
    }
    const answers = []
    for (let n = 0; n < 12; n++) answers.push(await begin(`2001:db8:${place + 1}:${n}::1`))
    expect(answers.map(({ status }) => status < 300)).toEqual([...Array(8).fill(true), ...Array(4).fill(false)])
    const refused = answers.at(-1)!
    expect([refused.status, refused.body.errcode]).toEqual([429, 'M_LIMIT_EXCEEDED'])
    expect(refused.body.retry_after_ms).toBeGreaterThan(0)
    expect(refused.body.retry_after_ms).toBeLessThanOrEqual(5 * 60_000)
    expect((await begin(`2001:db8:${place + 10}::1`)).status).toBeLessThan(300)
    const asAlice = { Authorization: `Bearer ${alice.accessToken}` }
    expect((await begin(`2001:db8:${place + 1}:1::1`, asAlice)).status).toBeLessThan(300)
  },
}))

/** Long polls. */
const WAITING: Attack[] = ['sync', 'events'].map((kind) => ({
  name: `more requests of a user that wait at a process than may, by ${kind}`,
  async attempt({ processes, url, alice, roomId }) {
    const attacker = await registerUser(url)
    await joinRoom(roomId, attacker)
    const at = (method: string, path: string) => ask(processes[0]!.url, { method, path, token: attacker.accessToken })
    const { next_batch } = (await at('GET', `${v3}/sync?timeout=0`)).body
    const path = kind === 'sync' ? `sync?since=${next_batch}` : `events?from=${next_batch}`
    const answers: Answer[] = []
    const waiting = Array.from({ length: 24 }, async () =>
      answers.push(await at('GET', `${v3}/${path}&timeout=120000`)),
    )
    await pollUntil('those beyond are answered', () => answers.length >= 4)
    expect(answers.length).toBeLessThan(24)
    await sendText(alice, roomId, 'something to tell')
    await Promise.all(waiting)
    expect(answers.filter(({ status }) => status !== 200)).toEqual([])
  },
}))

const TOKENS = [
  's1_999999999999999',
  's1_0',
  's1_-1',
  's1_1e5',
  's1_9223372036854775807',
  's1_99_999999999999999',
  't1_999999999999999',
  't1_-999999999999999',
  'l1_1_1_999999999999999',
  'l1_999999999999999_0_0',
  'h1_50_a_!x:y',
  '\u0000',
  '🦄',
  '1',
  '-1',
  '9223372036854775808',
  '1e308',
  'NaN',
  's1_١',
  'a'.repeat(3000),
]

/** Returns every request with a token. */
function tokenPlaces(roomId: string, token: string): [method: string, path: string, body?: object][] {
  const [room, at] = [encodeURIComponent(roomId), encodeURIComponent(token)]
  return [
    ['GET', `${v3}/sync?timeout=0&since=${at}`],
    ['GET', roomPath(roomId, `messages?dir=b&from=${at}&to=${at}`)],
    ['GET', roomPath(roomId, `messages?dir=f&from=${at}`)],
    ['GET', roomPath(roomId, `members?at=${at}`)],
    ['GET', `${v3}/keys/changes?from=${at}&to=${at}`],
    ['GET', `${v3}/events?timeout=0&from=${at}`],
    ['GET', `${v3}/notifications?from=${at}`],
    ['GET', `${v3}/publicRooms?since=${at}`],
    ['GET', `${v1}/rooms/${room}/hierarchy?from=${at}`],
    ['GET', `${v1}/rooms/${room}/threads?from=${at}`],
    ['GET', `${v1}/rooms/${room}/timestamp_to_event?dir=f&ts=${at}`],
    ['GET', roomPath(roomId, `initialSync?limit=${at}`)],
    ['GET', `/_matrix/client/unstable/io.element.msc4308/thread_subscriptions?from=${at}&to=${at}`],
    ['POST', `${v3}/search?next_batch=${at}`, { search_categories: { room_events: { search_term: 'hello' } } }],
    ['POST', `${SLIDING}?timeout=0&pos=${at}`, {}],
    ['POST', `${SLIDING}?timeout=0`, { extensions: { to_device: { enabled: true, since: token } } }],
  ]
}

const FORGED: Attack[] = ['sync', 'pagination'].map((kind, place) => ({
  name: `forged tokens, as if of ${kind}`,
  async attempt({ alice, roomId }) {
    for (const token of TOKENS.slice(place * 10, place * 10 + 10))
      for (const [method, path, body] of tokenPlaces(roomId, token))
        expect((await alice.ask(method, path, body)).status, `${method} ${path}`).toBeLessThan(500)
  },
}))

/** Actions that several processes must do once, requested of all of them concurrently. */
const RACES: Attack[] = [
  {
    name: 'one transaction id of an event, used by many at the same moment',
    async attempt({ alice, roomId }) {
      const path = roomPath(roomId, `send/m.room.message/race-${Date.now()}`)
      const sent = await Promise.all(
        Array.from({ length: 9 }, () => alice.put(path, { msgtype: 'm.text', body: 'once' })),
      )
      expect(new Set(sent.map(({ event_id }) => event_id)).size).toBe(1)
    },
  },
  {
    name: 'one alias, given to many rooms at the same moment',
    async attempt({ alice }) {
      const rooms = await Promise.all(Array.from({ length: 6 }, () => createRoom(alice)))
      const server = alice.userId.split(':').slice(1).join(':')
      const path = `${v3}/directory/room/${encodeURIComponent(`#race-${rooms[0]!.slice(1, 9)}:${server}`)}`
      const answers = await Promise.all(rooms.map((room_id) => alice.ask('PUT', path, { room_id })))
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409, 409, 409])
    },
  },
  {
    name: 'a room that is replaced by many at the same moment',
    async attempt({ alice }) {
      const roomId = await createRoom(alice)
      const upgrade = () => alice.ask('POST', roomPath(roomId, 'upgrade'), { new_version: '10' })
      const answers = await Promise.all(Array.from({ length: 4 }, upgrade))
      expect(answers.every(({ status }) => status < 500)).toBe(true)
      const { replacement_room } = await alice.get(roomPath(roomId, 'state/m.room.tombstone/'))
      expect(answers.map(({ body }) => body.replacement_room)).toContain(replacement_room)
    },
  },
  {
    name: 'users who act on each other in two rooms at the same moment',
    async attempt({ alice, bob }) {
      const [first, second] = [await createRoom(alice), await createRoom(bob)]
      const act = (user: TestUser, other: TestUser, room: string) => [
        user.ask('POST', roomPath(room, 'invite'), { user_id: other.userId }),
        user.ask('POST', roomPath(room, 'ban'), { user_id: other.userId }),
        other.ask('POST', roomPath(room, 'join')),
        other.ask('POST', roomPath(room, 'leave')),
        user.ask('POST', roomPath(room, 'unban'), { user_id: other.userId }),
      ]
      const rounds = Array.from({ length: 4 }, () => [...act(alice, bob, first), ...act(bob, alice, second)])
      const answers = await Promise.all(rounds.flat())
      expect(answers.filter(({ status }) => status >= 500)).toEqual([])
    },
  },
]

describeAttacks('what a second audit tried', [...KEYS, ...STORED, ...RENDEZVOUS, ...WAITING, ...FORGED, ...RACES], {
  limits: { counts: { room_aliases: 20, waiting_requests: 20, rendezvous_of_network: 8 } },
})
