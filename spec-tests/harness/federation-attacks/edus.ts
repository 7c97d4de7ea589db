import { expect } from 'vitest'
import { pollUntil } from '../../../testing/poll-until.ts'
import { registerUser, type TestUser } from '../client.ts'
import type { Attack } from '../hostile-world.ts'
import { createRoom, hasEvent, joinRoom, sendState, syncedRoom, v3 } from '../rooms.ts'
import { type Mallory, malloryIn, name, newMallory, type Stage, stageIn } from './mallory.ts'

/** EDUs about other servers' users, and about rooms that the sender is not in. */
type Edu = { edu_type: string; content: object }

const typing = (room_id: string, user_id: string): Edu => ({
  edu_type: 'm.typing',
  content: { room_id, user_id, typing: true },
})
const receipt = (room_id: string, user_id: string, event_id: string): Edu => ({
  edu_type: 'm.receipt',
  content: { [room_id]: { 'm.read': { [user_id]: { event_ids: [event_id], data: { ts: 1 } } } } },
})
const presence = (...users: string[]): Edu => ({
  edu_type: 'm.presence',
  content: {
    push: users.map((user_id) => ({ user_id, presence: 'online', last_active_ago: 1, status_msg: 'forged' })),
  },
})
const toDevice = (sender: string, messages: object, message_id = `${Math.random()}`): Edu => ({
  edu_type: 'm.direct_to_device',
  content: { sender, type: 'org.example.forged', message_id, messages },
})
const devices = (user_id: string): Edu => ({
  edu_type: 'm.device_list_update',
  content: { user_id, device_id: 'FORGED', stream_id: 1, prev_id: [], keys: deviceKeys(user_id) },
})
const crossSigning = (user_id: string): Edu => ({
  edu_type: 'm.signing_key_update',
  content: { user_id, master_key: { user_id, usage: ['master'], keys: { 'ed25519:forged': 'forged' } } },
})

function deviceKeys(user_id: string, device_id = 'FORGED'): object {
  const keys = { [`ed25519:${device_id}`]: 'forged', [`curve25519:${device_id}`]: 'forged' }
  return { user_id, device_id, algorithms: ['m.megolm.v1.aes-sha2'], keys, signatures: {} }
}

/** Sends EDUs; resolves once they have been processed. */
async function sendEdus({ peer, world }: Mallory, ...edus: Edu[]): Promise<void> {
  await peer.sendEdus(world.home, ...edus)
}

/** Returns the ephemeral data of a room that Bob gets. */
async function ephemeralOf({ world, roomId }: Stage): Promise<string> {
  return JSON.stringify((await syncedRoom(world.bob, roomId)).ephemeral ?? {})
}

/** Returns a row about EDUs that must have no effect in a room. */
function unheard(what: string, edusOf: (stage: Stage) => Edu[] | Promise<Edu[]>): Attack {
  return {
    name: `EDUs: ${what}`,
    async attempt(world) {
      const stage = await stageIn(world)
      const edus = await edusOf(stage)
      const before = await ephemeralOf(stage)
      await sendEdus(stage, ...edus)
      expect(await ephemeralOf(stage)).toBe(before)
    },
  }
}

/** Creates a user with devices that share no room with anyone. */
async function victimIn({ world }: Mallory): Promise<TestUser> {
  return registerUser(world.url)
}

const keysOf = async (viewer: TestUser, userId: string) => {
  const { device_keys, master_keys } = await viewer.post(`${v3}/keys/query`, { device_keys: { [userId]: [] } })
  return JSON.stringify([device_keys[userId] ?? {}, master_keys?.[userId] ?? {}])
}

export const EDU_ATTACKS: Attack[] = [
  unheard('typing of Alice', ({ roomId, world }) => [typing(roomId, world.alice.userId)]),
  unheard('typing of a user of a third server', ({ roomId, world }) => [typing(roomId, world.peer.userId)]),
  unheard('typing of a user who is not in the room', ({ roomId, peer }) => [typing(roomId, `@out:${peer.serverName}`)]),
  unheard('typing of a hundred users who are not there', ({ roomId, peer }) =>
    Array.from({ length: 100 }, (_, i) => typing(roomId, `@out${i}:${peer.serverName}`)),
  ),
  unheard('receipts of Alice', ({ roomId, world, room }) => [
    receipt(roomId, world.alice.userId, room.latest.event_id),
  ]),
  unheard('receipts of a user who is not in the room', ({ roomId, room, peer }) => [
    receipt(roomId, `@out:${peer.serverName}`, room.latest.event_id),
  ]),
  {
    name: 'EDUs: typing and receipts in a room where the server is not',
    async attempt(world) {
      const mallory = await malloryIn(world)
      const roomId = await createRoom(world.alice)
      await joinRoom(roomId, world.bob)
      const before = JSON.stringify((await syncedRoom(world.bob, roomId)).ephemeral ?? {})
      const edus = [typing(roomId, mallory.userId), receipt(roomId, mallory.userId, world.eventId)]
      await sendEdus(mallory, ...edus)
      expect(JSON.stringify((await syncedRoom(world.bob, roomId)).ephemeral ?? {})).toBe(before)
    },
  },
  {
    name: 'EDUs: typing and receipts in a room that keeps the server out',
    async attempt(world) {
      const stage = await stageIn(world)
      const content = { allow: ['*'], deny: ['localhost', stage.peer.serverName] }
      await sendState(world.alice, stage.roomId, { type: 'm.room.server_acl', content })
      const before = await ephemeralOf(stage)
      const event = stage.room.latest.event_id
      await sendEdus(stage, typing(stage.roomId, stage.userId), receipt(stage.roomId, stage.userId, event))
      expect(await ephemeralOf(stage)).toBe(before)
    },
  },
  {
    name: 'EDUs: presence of Alice, of users of a third server, and of a thousand who share no room',
    async attempt(world) {
      const stage = await stageIn(world)
      const status = `${v3}/presence/${name(world.alice.userId)}/status`
      await world.alice.put(status, { presence: 'unavailable', status_msg: 'mine' })
      const strangers = Array.from({ length: 1000 }, (_, i) => `@stranger${i}:${stage.peer.serverName}`)
      await sendEdus(stage, presence(world.alice.userId), presence(world.peer.userId), presence(...strangers))
      expect(await world.bob.get(status)).toMatchObject({ status_msg: 'mine' })
      const { presence: seen } = await world.bob.get(`${v3}/sync?timeout=0`)
      expect(JSON.stringify(seen ?? {})).not.toMatch(/forged|stranger/)
    },
  },
  {
    name: 'EDUs: devices and cross-signing keys of a user of the homeserver',
    async attempt(world) {
      const mallory = await malloryIn(world)
      const victim = await victimIn(mallory)
      await sendEdus(mallory, devices(victim.userId), crossSigning(victim.userId))
      expect(await keysOf(world.alice, victim.userId)).not.toMatch(/forged/i)
    },
  },
  {
    name: 'EDUs: devices and cross-signing keys of a user of a third server',
    async attempt(world) {
      const mallory = await malloryIn(world)
      const other = await newMallory(world)
      const room = other.peer.room()
      await world.alice.post(`${v3}/join/${name(room.roomId)}?via=${name(other.peer.serverName)}`)
      await keysOf(world.alice, room.creator)
      await sendEdus(mallory, devices(room.creator), crossSigning(room.creator))
      expect(await keysOf(world.alice, room.creator)).not.toMatch(/forged/i)
    },
  },
  ...(
    [
      ['of Bob', ({ world }: Mallory) => world.bob.userId],
      ['of a user of a third server', ({ world }: Mallory) => world.peer.userId],
      ['of what is no user', () => 'nobody'],
      ['of the server', ({ peer }: Mallory) => peer.serverName],
    ] as const
  ).map(
    ([what, senderOf]): Attack => ({
      name: `EDUs: messages to devices in the name ${what}`,
      async attempt(world) {
        const mallory = await malloryIn(world)
        const victim = await victimIn(mallory)
        await sendEdus(mallory, toDevice(senderOf(mallory), { [victim.userId]: { '*': { forged: true } } }))
        const { to_device } = await victim.get(`${v3}/sync?timeout=0`)
        expect(to_device?.events ?? []).toEqual([])
      },
    }),
  ),
  {
    name: 'EDUs: messages to devices of third servers, of nobody, and of devices that are not there',
    async attempt(world) {
      const mallory = await malloryIn(world)
      const victim = await victimIn(mallory)
      const messages = {
        [world.peer.userId]: { '*': { forged: true } },
        [`@nobody:${world.home.serverName}`]: { '*': { forged: true } },
        [victim.userId]: { NOT_THERE: { forged: true }, ['x'.repeat(2000)]: { forged: true }, '\0': { forged: true } },
      }
      await sendEdus(mallory, toDevice(mallory.userId, messages))
      const { to_device } = await victim.get(`${v3}/sync?timeout=0`)
      expect(to_device?.events ?? []).toEqual([])
    },
  },
  {
    name: 'EDUs: the same message to devices a hundred times',
    async attempt(world) {
      const mallory = await malloryIn(world)
      const victim = await victimIn(mallory)
      const edu = toDevice(mallory.userId, { [victim.userId]: { '*': { again: true } } }, `same${Math.random()}`)
      await sendEdus(mallory, ...Array.from({ length: 100 }, () => edu))
      await sendEdus(mallory, edu)
      const { to_device } = await victim.get(`${v3}/sync?timeout=0`)
      expect(to_device.events).toHaveLength(1)
    },
  },
  {
    name: 'EDUs: a hundred of unknown types and odd shapes before one that counts',
    async attempt(world) {
      const stage = await stageIn(world)
      const odd = [
        null,
        5,
        [],
        'x',
        {},
        { edu_type: 5 },
        { edu_type: '__proto__', content: {} },
        { edu_type: 'm.typing' },
      ]
      const many = Array.from({ length: 99 }, (_, i) => odd[i % odd.length])
      await stage.peer.sendEdus(world.home, ...many, typing(stage.roomId, stage.userId))
      await pollUntil('typing is seen', async () => (await ephemeralOf(stage)).includes(stage.userId))
    },
  },
  ...(
    [
      [
        'a hundred and one EDUs',
        (stage: Stage) => ({ pdus: [], edus: Array.from({ length: 101 }, () => typing(stage.roomId, stage.userId)) }),
      ],
      ['fifty-one PDUs', (stage: Stage) => ({ pdus: stage.room.say(51).map(({ pdu }) => pdu), edus: [] })],
    ] as const
  ).map(
    ([what, cargoOf]): Attack => ({
      name: `a transaction of ${what}`,
      async attempt(world) {
        const stage = await stageIn(world)
        const body = { origin: stage.peer.serverName, origin_server_ts: 1, ...cargoOf(stage) }
        const { status } = await stage.ask('PUT', `v1/send/${Math.random()}`, body)
        expect(status).toBe(400)
      },
    }),
  ),
  {
    name: 'a transaction in which another origin is named',
    async attempt(world) {
      const stage = await stageIn(world)
      const body = {
        origin: world.peer.serverName,
        origin_server_ts: 1,
        pdus: [],
        edus: [typing(stage.roomId, world.peer.userId)],
      }
      expect((await stage.ask('PUT', `v1/send/${Math.random()}`, body)).status).toBe(200)
      expect(await ephemeralOf(stage)).not.toContain(world.peer.userId)
    },
  },
  {
    name: 'a transaction with an id that another server has used',
    async attempt(world) {
      const stage = await stageIn(world)
      const id = `same-${Math.random()}`
      const empty = { origin: world.peer.serverName, origin_server_ts: 1, pdus: [] }
      await world.peer.ask(world.home, 'PUT', `/_matrix/federation/v1/send/${id}`, empty)
      const marker = stage.room.make({ content: { body: 'mine' } })
      await stage.peer.send(world.home, [marker], id)
      await pollUntil('it is not taken for the other', () => hasEvent(world.alice, marker))
    },
  },
  {
    name: 'keys of other users in an answer about one',
    async attempt(world) {
      const mallory = await malloryIn(world)
      const victim = await victimIn(mallory)
      const asked = `@k:${mallory.peer.serverName}`
      mallory.peer.lie('query_keys', () => ({
        device_keys: {
          [asked]: { DEVICE: deviceKeys(asked, 'DEVICE'), FORGED: deviceKeys(victim.userId), OTHER: deviceKeys(asked) },
          [victim.userId]: { FORGED: deviceKeys(victim.userId) },
        },
        master_keys: { [victim.userId]: { user_id: victim.userId, usage: ['master'], keys: { 'ed25519:x': 'x' } } },
      }))
      const body = { device_keys: { [asked]: [], [victim.userId]: [] } }
      const { device_keys, master_keys } = await world.alice.post(`${v3}/keys/query`, body)
      mallory.peer.lie('query_keys', undefined)
      expect(Object.keys(device_keys[asked])).toEqual(['DEVICE'])
      expect(device_keys[victim.userId] ?? {}).toEqual({})
      expect(master_keys ?? {}).not.toHaveProperty([victim.userId])
    },
  },
  {
    name: 'one-time keys of other users in an answer about one',
    async attempt(world) {
      const mallory = await malloryIn(world)
      const victim = await victimIn(mallory)
      const asked = `@k:${mallory.peer.serverName}`
      const key = { 'signed_curve25519:AAAA': { key: 'x', signatures: {} } }
      mallory.peer.lie('claim_keys', () => ({
        one_time_keys: { [asked]: { DEVICE: key, OTHER: key }, [victim.userId]: { FORGED: key } },
      }))
      const body = {
        one_time_keys: { [asked]: { DEVICE: 'signed_curve25519' }, [victim.userId]: { FORGED: 'signed_curve25519' } },
      }
      const { one_time_keys } = await world.alice.post(`${v3}/keys/claim`, body)
      mallory.peer.lie('claim_keys', undefined)
      expect(Object.keys(one_time_keys[asked])).toEqual(['DEVICE'])
      expect(one_time_keys[victim.userId]?.FORGED ?? {}).toEqual({})
    },
  },
  {
    name: 'a list of devices that is of another user',
    async attempt(world) {
      const mallory = await newMallory(world)
      const room = mallory.peer.room()
      await world.alice.post(`${v3}/join/${name(room.roomId)}?via=${name(mallory.peer.serverName)}`)
      const forged = [{ device_id: 'FORGED', keys: deviceKeys(world.bob.userId) }]
      mallory.peer.lie('devices', () => ({ user_id: world.bob.userId, stream_id: 1, devices: forged }))
      expect(await keysOf(world.alice, room.creator)).not.toMatch(/forged/i)
      expect(await keysOf(world.alice, world.bob.userId)).not.toMatch(/forged/i)
    },
  },
]
