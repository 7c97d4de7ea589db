import { expect } from 'vitest'
import { pollUntil } from '../../../testing/poll-until.ts'
import { registerUser, type TestUser } from '../client.ts'
import type { Attack, HostileWorld } from '../hostile-world.ts'
import { v3 } from '../rooms.ts'
import { slidingClient } from '../sliding-client.ts'
import { KIB, loggedInAgain, MIB, refused, text, unstable } from './sizes.ts'

/** More than `limits.answers.to_device` of these tests, with one message beyond. */
const MOST_IN_AN_ANSWER = 1.5 * MIB

let transactions = 0

async function send(sender: TestUser, messages: object): Promise<void> {
  await sender.put(`${v3}/sendToDevice/org.example/s${++transactions}`, { messages })
}

/** Sends large messages to a device, a few per request. */
async function flood(sender: TestUser, { userId, deviceId }: TestUser, count: number): Promise<void> {
  for (let place = 0; place < count; place++) {
    await send(sender, { [userId]: { [deviceId]: { place, padding: text(200 * KIB) } } })
  }
}

function toDeviceEdu(sender: string, messages: object): object {
  const message_id = `m${++transactions}`
  return { edu_type: 'm.direct_to_device', content: { sender, type: 'org.example', message_id, messages } }
}

async function sendEdus({ peer, home }: HostileWorld, edus: object[]): Promise<void> {
  const body = { origin: peer.serverName, origin_server_ts: Date.now(), pdus: [], edus }
  await peer.ask(home, 'PUT', `/_matrix/federation/v1/send/t${++transactions}`, body)
}

type Message = { content: { place?: number; name?: string } }

/** Returns all messages of a device, over several syncs, each of which must be small. */
async function messagesOf(user: TestUser): Promise<Message[]> {
  const all: Message[] = []
  let since = ''
  for (;;) {
    const answer = await user.get(`${v3}/sync?timeout=0${since}`)
    const events: Message[] = answer.to_device?.events ?? []
    expect(JSON.stringify(answer).length).toBeLessThan(MOST_IN_AN_ANSWER)
    all.push(...events)
    if (events.length === 0) return all
    since = `&since=${answer.next_batch}`
  }
}

async function fewUsers(url: string): Promise<{ victim: TestUser; friend: TestUser; attacker: TestUser }> {
  const [victim, friend, attacker] = await Promise.all([registerUser(url), registerUser(url), registerUser(url)])
  return { victim: victim!, friend: friend!, attacker: attacker! }
}

const places = (messages: readonly Message[]) => messages.map(({ content }) => content.place)
const names = (messages: readonly Message[]) => messages.flatMap(({ content }) => content.name ?? [])

/** To-device messages, from users and from other servers. */
export const messagesToDevices: Attack[] = [
  {
    name: 'many large messages come in several syncs, in their order',
    async attempt({ url }) {
      const { victim, attacker } = await fewUsers(url)
      await flood(attacker, victim, 12)
      expect(places(await messagesOf(victim))).toEqual(Array.from({ length: 12 }, (_, place) => place))
    },
  },
  {
    name: 'many large messages come in several answers of sliding sync',
    async attempt({ url }) {
      const { victim, attacker } = await fewUsers(url)
      await flood(attacker, victim, 8)
      const sliding = slidingClient(victim)
      const found: Message[] = []
      let since: string | undefined
      await pollUntil('all messages are told', async () => {
        const body = await sliding.sync({ lists: {}, extensions: { to_device: { enabled: true, since } } })
        expect(JSON.stringify(body).length).toBeLessThan(MOST_IN_AN_ANSWER)
        const { to_device } = body.extensions
        since = to_device.next_batch
        found.push(...to_device.events)
        return found.length >= 8
      })
      expect(places(found)).toEqual(Array.from({ length: 8 }, (_, place) => place))
    },
  },
  {
    name: 'a client that does not acknowledge gets the same messages again, and no more',
    async attempt({ url }) {
      const { victim, attacker } = await fewUsers(url)
      const { next_batch: since } = await victim.get(`${v3}/sync?timeout=0`)
      await flood(attacker, victim, 8)
      const sync = () => victim.get(`${v3}/sync?timeout=0&since=${since}`)
      const [first, second] = [await sync(), await sync()]
      expect(second.to_device).toEqual(first.to_device)
      expect(JSON.stringify(first).length).toBeLessThan(MOST_IN_AN_ANSWER)
    },
  },
  {
    name: 'a flood that fills an inbox does not push out what others send',
    async attempt({ url }) {
      const { victim, friend, attacker } = await fewUsers(url)
      const name = (text: string) => ({ [victim.userId]: { [victim.deviceId]: { name: text } } })
      await send(friend, name('before'))
      await flood(attacker, victim, 24)
      await send(friend, name('after'))
      expect(names(await messagesOf(victim))).toEqual(['before', 'after'])
    },
  },
  {
    name: 'nor does one to all devices of the victim',
    async attempt({ url }) {
      const { victim, friend, attacker } = await fewUsers(url)
      await send(friend, { [victim.userId]: { [victim.deviceId]: { name: 'before' } } })
      const others = await Promise.all([loggedInAgain(victim), loggedInAgain(victim)])
      for (let round = 0; round < 20; round++)
        await send(attacker, { [victim.userId]: { '*': { padding: text(100 * KIB) } } })
      expect(names(await messagesOf(victim))).toEqual(['before'])
      for (const other of others) await messagesOf(other)
    },
  },
  {
    name: 'a flood from another server does not push out what others send',
    async attempt(world) {
      const { victim, friend } = await fewUsers(world.url)
      await send(friend, { [victim.userId]: { [victim.deviceId]: { name: 'before' } } })
      for (let round = 0; round < 6; round++) {
        const edus = Array.from({ length: 4 }, (_, each) =>
          toDeviceEdu(`@u${round}${each}:${world.peer.serverName}`, {
            [victim.userId]: { [victim.deviceId]: { padding: text(200 * KIB) } },
          }),
        )
        await sendEdus(world, edus)
      }
      expect(names(await messagesOf(victim))).toEqual(['before'])
    },
  },
  {
    name: 'a message of another server that is too large is dropped, and the others arrive',
    async attempt(world) {
      const { victim } = await fewUsers(world.url)
      const to = (content: object) => ({ [victim.userId]: { [victim.deviceId]: content } })
      await sendEdus(world, [
        toDeviceEdu(world.peer.userId, to({ name: 'first' })),
        toDeviceEdu(world.peer.userId, to({ name: 'large', padding: text(300 * KIB) })),
        toDeviceEdu(world.peer.userId, to({ name: 'last' })),
      ])
      expect(names(await messagesOf(victim))).toEqual(['first', 'last'])
    },
  },
  {
    name: 'a large message beside a small one in the same EDU',
    async attempt(world) {
      const { victim, friend } = await fewUsers(world.url)
      const contents = {
        [victim.userId]: { [victim.deviceId]: { padding: text(9 * MIB) } },
        [friend.userId]: { [friend.deviceId]: { name: 'small' } },
      }
      await sendEdus(world, [toDeviceEdu(world.peer.userId, contents)])
      expect(await messagesOf(victim)).toEqual([])
      expect(names(await messagesOf(friend))).toEqual(['small'])
    },
  },
  {
    name: 'more messages in an EDU than are looked at',
    async attempt(world) {
      const { victim } = await fewUsers(world.url)
      const devices = Object.fromEntries(Array.from({ length: 50_000 }, (_, place) => [`D${place}`, {}]))
      await sendEdus(world, [toDeviceEdu(world.peer.userId, { [victim.userId]: devices })])
      expect(await messagesOf(victim)).toEqual([])
    },
  },
  refused('a message to all of many devices', async (user) => {
    await Promise.all([loggedInAgain(user), loggedInAgain(user), loggedInAgain(user)])
    const contents = Array.from({ length: 8 }, () => ({ padding: text(250 * KIB) }))
    const others = await Promise.all(contents.map(() => registerUser(user.url)))
    const messages = Object.fromEntries(
      [user, ...others].map(({ userId }, place) => [userId, { '*': contents[place] ?? contents[0] }]),
    )
    return user.ask('PUT', `${v3}/sendToDevice/org.example/all`, { messages })
  }),
  {
    name: 'a dehydrated device has its messages in several answers',
    async attempt({ url }) {
      const { victim, attacker } = await fewUsers(url)
      const path = `${unstable}/org.matrix.msc3814.v1/dehydrated_device`
      const device = { ...victim, deviceId: 'DEHYDRATED' }
      const device_keys = {
        user_id: victim.userId,
        device_id: device.deviceId,
        algorithms: [],
        keys: {},
        signatures: {},
      }
      await victim.put(path, { device_id: device.deviceId, device_data: { algorithm: 'x' }, device_keys })
      await flood(attacker, device, 8)
      const found: Message[] = []
      let next_batch: string | undefined
      for (;;) {
        const answer = await victim.post(`${path}/${device.deviceId}/events`, { next_batch })
        expect(JSON.stringify(answer).length).toBeLessThan(MOST_IN_AN_ANSWER)
        if (answer.events.length === 0) break
        found.push(...answer.events)
        next_batch = answer.next_batch
      }
      expect(places(found)).toEqual(Array.from({ length: 8 }, (_, place) => place))
    },
  },
]
