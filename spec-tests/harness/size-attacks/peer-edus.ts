import { expect } from 'vitest'
import { pollUntil } from '../../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser } from '../client.ts'
import type { Attack, HostileWorld } from '../hostile-world.ts'
import { createRoom, joinRoom, relating, roomPath, sendEvent, syncedRoom, v3 } from '../rooms.ts'
import { entries, KIB, loggedInAgain, MIB, text } from './sizes.ts'

let transactions = 0

/** Sends EDUs of the peer, then one with a visible effect, and waits for that. */
async function sendEdus(world: HostileWorld, edus: object[]): Promise<void> {
  const { peer, home, alice } = world
  const body = { origin: peer.serverName, origin_server_ts: Date.now(), pdus: [], edus: [...edus, typing(world, true)] }
  await peer.ask(home, 'PUT', `/_matrix/federation/v1/send/e${++transactions}`, body)
  const typists = async () => (await syncedRoom(alice, world.roomId)).ephemeral.events
  await pollUntil('what was sent after it is told', async () => JSON.stringify(await typists()).includes(peer.userId))
  const after = { ...body, edus: [typing(world, false)] }
  await peer.ask(home, 'PUT', `/_matrix/federation/v1/send/e${++transactions}`, after)
}

function typing({ peer, roomId }: HostileWorld, isTyping: boolean): object {
  return { edu_type: 'm.typing', content: { room_id: roomId, user_id: peer.userId, typing: isTyping } }
}

function receipts({ peer, roomId }: HostileWorld, eventId: string, threads: readonly (string | undefined)[]): object[] {
  return threads.map((thread_id) => {
    const data = { ts: 1, ...(thread_id !== undefined && { thread_id }) }
    return {
      edu_type: 'm.receipt',
      content: { [roomId]: { 'm.read': { [peer.userId]: { event_ids: [eventId], data } } } },
    }
  })
}

/** Returns the peer's receipts in Alice's initial sync. */
async function receiptsOfPeer({ alice, peer, roomId }: HostileWorld): Promise<{ thread_id?: string }[]> {
  const { events } = (await syncedRoom(alice, roomId)).ephemeral
  // biome-ignore lint/suspicious/noExplicitAny: answers have every shape
  const contents = events.flatMap(({ type, content }: any) => (type === 'm.receipt' ? Object.values(content) : []))
  // biome-ignore lint/suspicious/noExplicitAny: as above
  return contents.flatMap((ofEvent: any) => ofEvent['m.read']?.[peer.userId] ?? [])
}

function deviceKeys({ peer }: HostileWorld, device_id: string, more: object = {}): object {
  return { user_id: peer.userId, device_id, algorithms: [], keys: {}, signatures: {}, ...more }
}

/** Returns the peer's devices as a local user gets them. */
async function devicesOfPeer({ alice, peer }: HostileWorld): Promise<string[]> {
  const { device_keys } = await alice.post(`${v3}/keys/query`, { device_keys: { [peer.userId]: [] }, timeout: 500 })
  return Object.keys(device_keys[peer.userId] ?? {})
}

/** Creates two users in a room of their own. */
async function acquaintances({ url, alice }: HostileWorld): Promise<TestUser> {
  const user = await registerUser(url)
  await joinRoom(await createRoom(alice), user)
  return user
}

/** EDUs of other servers. */
export const edusOfPeers: Attack[] = [
  {
    name: 'receipts of a remote user with arbitrary threads',
    async attempt(world) {
      const threads = Array.from({ length: 90 }, (_, place) => `$thread${place}-${text(30)}`)
      await sendEdus(world, receipts(world, world.eventId, threads))
      expect(await receiptsOfPeer(world)).toEqual([])
    },
  },
  {
    name: 'receipts of a remote user at unknown events with arbitrary threads',
    async attempt(world) {
      const edus = Array.from({ length: 50 }, (_, place) =>
        receipts(world, `$unknown${place}-${text(30)}`, [`$thread${place}-${text(30)}`]),
      )
      await sendEdus(world, edus.flat())
      expect(await receiptsOfPeer(world)).toEqual([])
    },
  },
  {
    name: 'receipts of a remote user in a thread that there is, among others in threads that there are not',
    async attempt(world) {
      const { alice, roomId } = world
      const root = await sendText(alice, roomId, 'root')
      const reply = await sendEvent(alice, roomId, relating('m.thread', root))
      await sendEdus(world, receipts(world, reply, ['$none', root, world.eventId, 'main2']))
      expect(await receiptsOfPeer(world)).toEqual([{ ts: 1, thread_id: root }])
    },
  },
  {
    name: 'more receipts in an EDU than are looked at',
    async attempt(world) {
      const users = entries(20_000, (place) => `@u${place}:${world.peer.serverName}`, {
        event_ids: [world.eventId],
        data: { ts: 1 },
      })
      await sendEdus(world, [{ edu_type: 'm.receipt', content: { [world.roomId]: { 'm.read': users } } }])
      const { ephemeral } = await syncedRoom(world.alice, world.roomId)
      expect(JSON.stringify(ephemeral).length).toBeLessThan(10 * KIB)
    },
  },
  {
    name: 'presence with a status of 5 MB',
    async attempt(world) {
      const push = [{ user_id: world.peer.userId, presence: 'online', status_msg: text(5 * MIB), last_active_ago: 1 }]
      await sendEdus(world, [{ edu_type: 'm.presence', content: { push } }])
      const synced = JSON.stringify(await world.alice.get(`${v3}/sync?timeout=0`))
      expect(synced.length).toBeLessThan(MIB)
    },
  },
  {
    name: 'a device whose keys are too large',
    async attempt(world) {
      const large = deviceKeys(world, 'LARGE', { padding: text(5 * MIB) })
      const content = {
        user_id: world.peer.userId,
        device_id: 'LARGE',
        stream_id: ++transactions,
        prev_id: [],
        keys: large,
      }
      await sendEdus(world, [{ edu_type: 'm.device_list_update', content }])
      expect(await devicesOfPeer(world)).toEqual([])
    },
  },
  {
    name: 'a cross-signing key that is too large',
    async attempt(world) {
      const { peer, alice } = world
      const master_key = { user_id: peer.userId, usage: ['master'], keys: { 'ed25519:abc': 'abc' }, padding: text(MIB) }
      await sendEdus(world, [{ edu_type: 'm.signing_key_update', content: { user_id: peer.userId, master_key } }])
      const answer = await alice.post(`${v3}/keys/query`, { device_keys: { [peer.userId]: [] }, timeout: 500 })
      expect(JSON.stringify(answer).length).toBeLessThan(10 * KIB)
    },
  },
  {
    name: 'the same device asked for forty thousand times',
    async attempt(world) {
      const user = await acquaintances(world)
      const keys = { user_id: user.userId, device_id: user.deviceId, algorithms: [], keys: {}, signatures: {} }
      await user.post(`${v3}/keys/upload`, { device_keys: { ...keys, padding: text(20 * KIB) } })
      const wanted = { [user.userId]: Array(40_000).fill(user.deviceId) }
      const answer = await world.alice.post(`${v3}/keys/query`, { device_keys: wanted })
      expect(JSON.stringify(answer).length).toBeLessThan(30 * KIB)
      const path = '/_matrix/federation/v1/user/keys/query'
      const told = await world.peer.ask(world.home, 'POST', path, { device_keys: wanted })
      expect(JSON.stringify(told).length).toBeLessThan(30 * KIB)
    },
  },
  {
    name: 'users whose devices have more keys than an answer holds cost nobody else an answer',
    async attempt(world) {
      const [small, ...large] = await Promise.all([1, 2, 3, 4].map(() => acquaintances(world)))
      for (const user of large) {
        for (const device of [user, await loggedInAgain(user)]) {
          const keys = { user_id: user.userId, device_id: device.deviceId, algorithms: [], keys: {}, signatures: {} }
          await device.post(`${v3}/keys/upload`, { device_keys: { ...keys, padding: text(19 * KIB) } })
        }
      }
      const keys = { user_id: small!.userId, device_id: small!.deviceId, algorithms: [], keys: {}, signatures: {} }
      await small!.post(`${v3}/keys/upload`, { device_keys: keys })
      const wanted = Object.fromEntries([...large, small!].map(({ userId }) => [userId, []]))
      const { device_keys } = await world.alice.post(`${v3}/keys/query`, { device_keys: wanted })
      expect(JSON.stringify(device_keys).length).toBeLessThan(100 * KIB)
      expect(Object.keys(device_keys[small!.userId])).toEqual([small!.deviceId])
    },
  },
  {
    name: 'typing of many remote users who are not there',
    async attempt(world) {
      const edus = Array.from({ length: 90 }, (_, place) => ({
        edu_type: 'm.typing',
        content: { room_id: world.roomId, user_id: `@u${place}:${world.peer.serverName}`, typing: true },
      }))
      await sendEdus(world, edus)
      const { ephemeral } = await syncedRoom(world.alice, world.roomId)
      expect(JSON.stringify(ephemeral)).not.toContain('@u1:')
    },
  },
  {
    name: 'an EDU of an unknown type of 9 MB',
    async attempt(world) {
      await sendEdus(world, [{ edu_type: 'org.example', content: { padding: text(9 * MIB) } }])
      expect((await world.alice.ask('GET', roomPath(world.roomId, 'joined_members'))).status).toBe(200)
    },
  },
]
