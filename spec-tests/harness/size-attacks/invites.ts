import { expect } from 'vitest'
import { eventIdOf } from '../../../testing/matrix/events.ts'
import type { Pdu } from '../../../testing/matrix/pdu.ts'
import { ROOM_VERSIONS } from '../../../testing/matrix/room-versions.ts'
import { type Answer, registerUser, type TestUser } from '../client.ts'
import type { Attack, HostileWorld } from '../hostile-world.ts'
import { createRoom, roomPath, sendState, v3 } from '../rooms.ts'
import { slidingClient } from '../sliding-client.ts'
import { KIB, MIB, text } from './sizes.ts'

/** The byte limits in these tests for one invite, and for all invites together, in a sync. */
const ONE_INVITE = 70 * KIB
const ALL_INVITES = 400 * KIB

const VERSION = '10'
let made = 0

/** Returns a signed invite of a user to a room that is only on the peer. */
function invitePdu({ peer }: HostileWorld, victim: TestUser): { path: string; event: object } {
  const id = `$${text(43)}`
  const pdu = {
    type: 'm.room.member',
    room_id: `!remote${++made}:${peer.serverName}`,
    sender: peer.userId,
    state_key: victim.userId,
    content: { membership: 'invite' },
    origin: peer.serverName,
    origin_server_ts: Date.now(),
    depth: 5,
    prev_events: [id],
    auth_events: [id],
  }
  const event = peer.sign(pdu, VERSION) as Pdu
  const eventId = eventIdOf(ROOM_VERSIONS.get(VERSION)!, event)
  return { path: `${encodeURIComponent(pdu.room_id)}/${encodeURIComponent(eventId)}`, event }
}

async function inviteByPeer(world: HostileWorld, victim: TestUser, invite_room_state: object[]) {
  const { path, event } = invitePdu(world, victim)
  const body = JSON.stringify({ room_version: VERSION, event, invite_room_state })
  const { status, text: answer } = await world.peer.send(world.home, {
    method: 'PUT',
    path: `/_matrix/federation/v2/invite/${path}`,
    body,
  })
  return { status, errcode: JSON.parse(answer).errcode as string | undefined }
}

function stripped({ peer }: HostileWorld, type: string, content: object, state_key = ''): object {
  return { type, state_key, sender: peer.userId, content }
}

// biome-ignore lint/suspicious/noExplicitAny: rows look into answers of every shape
async function invitesOf(user: TestUser, most: number): Promise<any[]> {
  const answer = await user.get(`${v3}/sync?timeout=0`)
  const invites = Object.values(answer.rooms?.invite ?? {})
  expect(JSON.stringify(invites).length).toBeLessThan(most)
  const lists = { all: { ranges: [[0, 99]], required_state: [], timeline_limit: 1 } }
  const { rooms } = await slidingClient(user, { connId: `invites${++made}` }).sync({ lists })
  expect(Object.keys(rooms)).toHaveLength(invites.length)
  expect(JSON.stringify(rooms).length).toBeLessThan(most + 20 * KIB)
  return invites
}

// biome-ignore lint/suspicious/noExplicitAny: see invitesOf
function namesIn(invites: any[]): string[] {
  const events = invites.flatMap(({ invite_state }) => invite_state.events)
  return events.flatMap(({ type, content }) => (type === 'm.room.name' ? content.name : []))
}

/** Returns a row about an invite by the peer: its stripped state, and the part of it that must reach the user. */
function byPeer(name: string, state: (world: HostileWorld) => object[], names: string[]): Attack {
  return {
    name,
    async attempt(world) {
      const victim = await registerUser(world.url)
      expect((await inviteByPeer(world, victim, state(world))).status).toBe(200)
      const invites = await invitesOf(victim, ONE_INVITE)
      expect(invites).toHaveLength(1)
      expect(namesIn(invites)).toEqual(names)
    },
  }
}

const invite = (sender: TestUser, roomId: string, { userId }: TestUser): Promise<Answer> =>
  sender.ask('POST', roomPath(roomId, 'invite'), { user_id: userId })

/** Creates a room whose stripped state is as large as possible. */
async function largeRoom(user: TestUser): Promise<string> {
  const roomId = await createRoom(user, { name: 'Large' })
  await sendState(user, roomId, { type: 'm.room.topic', content: { topic: text(60 * KIB) } })
  await sendState(user, roomId, { type: 'm.room.avatar', content: { url: `mxc://x/y`, info: text(60 * KIB) } })
  return roomId
}

/** Invites, and their stripped state. */
export const largeInvites: Attack[] = [
  byPeer(
    'an invite with 9.4 MB of state',
    (world) => [stripped(world, 'm.room.topic', { topic: text(9.4 * MIB) })],
    [],
  ),
  byPeer(
    'an invite whose large state comes before what is needed',
    (world) => [
      stripped(world, 'org.example', { padding: text(5 * MIB) }),
      stripped(world, 'm.room.topic', { topic: text(60 * KIB) }),
      stripped(world, 'm.room.name', { name: 'Needed' }),
    ],
    ['Needed'],
  ),
  byPeer(
    'an invite with thousands of small state events',
    (world) => [
      stripped(world, 'm.room.name', { name: 'Needed' }),
      ...Array.from({ length: 20_000 }, (_, place) => stripped(world, 'org.example', { place }, `${place}`)),
    ],
    ['Needed'],
  ),
  byPeer(
    'an invite with many events of 60 kB',
    (world) => [
      ...Array.from({ length: 60 }, (_, place) =>
        stripped(world, 'm.room.member', { padding: text(60 * KIB) }, `${place}`),
      ),
      stripped(world, 'm.room.name', { name: 'Needed' }),
    ],
    ['Needed'],
  ),
  byPeer('an invite with a name of 9 MB', (world) => [stripped(world, 'm.room.name', { name: text(9 * MIB) })], []),
  {
    name: 'an invite of the old form with 9 MB of state',
    async attempt(world) {
      const victim = await registerUser(world.url)
      const { path, event } = invitePdu(world, victim)
      const unsigned = { invite_room_state: [stripped(world, 'm.room.topic', { topic: text(9 * MIB) })] }
      const body = JSON.stringify({ ...event, unsigned })
      const answer = await world.peer.send(world.home, {
        method: 'PUT',
        path: `/_matrix/federation/v1/invite/${path}`,
        body,
      })
      // The old endpoint is only for the oldest rooms, whose events have other IDs.
      expect(answer.status).toBe(400)
      expect(await invitesOf(victim, KIB)).toEqual([])
    },
  },
  {
    name: 'invite after invite by one server, which leaves room for others',
    async attempt(world) {
      const [victim, friend] = await Promise.all([registerUser(world.url), registerUser(world.url)])
      const answers = []
      for (let place = 0; place < 4; place++) answers.push(await inviteByPeer(world, victim!, []))
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 403])
      expect(answers[3]!.errcode).toBe('M_FORBIDDEN')
      expect((await invite(friend!, await createRoom(friend!), victim!)).status).toBe(200)
      expect(await invitesOf(victim!, ONE_INVITE)).toHaveLength(4)
    },
  },
  {
    name: 'invites that were answered make room for others',
    async attempt(world) {
      const victim = await registerUser(world.url)
      const rooms = await Promise.all([1, 2, 3, 4, 5, 6].map(() => createRoom(world.alice)))
      for (const roomId of rooms.slice(0, 5)) expect((await invite(world.alice, roomId, victim)).status).toBe(200)
      const refused = await invite(world.alice, rooms[5]!, victim)
      expect([refused.status, refused.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
      await victim.post(roomPath(rooms[0]!, 'leave'))
      expect((await invite(world.alice, rooms[5]!, victim)).status).toBe(200)
    },
  },
  {
    name: 'a new room that invites somebody who has too many invites is not made',
    async attempt({ alice, url }) {
      const victim = await registerUser(url)
      for (let place = 0; place < 5; place++) await createRoom(alice, { invite: [victim.userId] })
      const before = (await alice.get(`${v3}/joined_rooms`)).joined_rooms
      const answer = await alice.ask('POST', `${v3}/createRoom`, { invite: [victim.userId] })
      expect([answer.status, answer.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
      expect((await alice.get(`${v3}/joined_rooms`)).joined_rooms).toEqual(before)
    },
  },
  {
    name: 'an invite by a member event to somebody who has too many invites',
    async attempt({ alice, url, roomId }) {
      const victim = await registerUser(url)
      for (let place = 0; place < 5; place++) await createRoom(alice, { invite: [victim.userId] })
      const path = roomPath(roomId, `state/m.room.member/${encodeURIComponent(victim.userId)}`)
      expect((await alice.ask('PUT', path, { membership: 'invite' })).status).toBe(403)
    },
  },
  {
    name: 'invites to local rooms with large state',
    async attempt({ url }) {
      const [victim, attacker] = await Promise.all([registerUser(url), registerUser(url)])
      for (let place = 0; place < 5; place++) await invite(attacker!, await largeRoom(attacker!), victim!)
      const invites = await invitesOf(victim!, ALL_INVITES)
      expect(namesIn(invites)).toEqual(Array(5).fill('Large'))
    },
  },
  {
    name: 'invites whose own events are large',
    async attempt({ url }) {
      const [victim, attacker] = await Promise.all([registerUser(url), registerUser(url)])
      for (let place = 0; place < 5; place++) {
        const roomId = await createRoom(attacker!, { name: 'Small' })
        const path = roomPath(roomId, `state/m.room.member/${encodeURIComponent(victim!.userId)}`)
        await attacker!.put(path, { membership: 'invite', padding: text(60 * KIB) })
      }
      const invites = await invitesOf(victim!, 100 * KIB)
      expect(namesIn(invites)).toEqual(Array(5).fill('Small'))
    },
  },
]
