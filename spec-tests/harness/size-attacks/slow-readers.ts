import { expect } from 'vitest'
import { WebSocket } from 'ws'
import { pollUntil } from '../../../testing/poll-until.ts'
import { registerUser, type TestUser } from '../client.ts'
import type { Attack, HostileWorld } from '../hostile-world.ts'
import { forgetPeak, peakMemory } from '../process-memory.ts'
import { openConnection, type RawConnection } from '../raw-connection.ts'
import { v3 } from '../rooms.ts'
import { KIB, MIB, ofUser, text } from './sizes.ts'

/** Without limits, the unread responses of this many readers take 150 MiB, and their sources a multiple of that. */
const READERS = 10
const MOST_MEMORY_MIB = 250

const users = new Map<string, Promise<TestUser>>()

/** Returns one user per number, whose account data make every initial sync as large as possible. */
function userWithMuch(url: string, number = 0): Promise<TestUser> {
  const key = `${url} ${number}`
  const user = users.get(key) ?? makeUser(url)
  users.set(key, user)
  return user
}

async function makeUser(url: string): Promise<TestUser> {
  const user = await registerUser(url)
  const place = (index: number) => ofUser(user, `account_data/org.example${index}`)
  await Promise.all(Array.from({ length: 15 }, (_, index) => user.put(place(index), { padding: text(MIB - 100) })))
  return user
}

/** 35 MiB of keys, of which only a small part is in memory at a time. */
const BACKUP_ROOMS = 4
const KEYS_OF_ROOM = 150
const MOST_OF_STREAM_MIB = 50

async function backUpMuch(user: TestUser): Promise<string> {
  const algorithm = 'm.megolm_backup.v1.curve25519-aes-sha2'
  const { version } = await user.post(`${v3}/room_keys/version`, { algorithm, auth_data: {} })
  for (let room = 0; room < BACKUP_ROOMS; room++) {
    const facts = { first_message_index: 0, forwarded_count: 0, is_verified: true }
    const session = { ...facts, session_data: { ciphertext: text(60 * KIB) } }
    const sessions = Object.fromEntries(Array.from({ length: KEYS_OF_ROOM }, (_, key) => [`key${key}`, session]))
    await user.put(`${v3}/room_keys/keys/!room${room}:hearth.test?version=${version}`, { sessions })
  }
  return version
}

function requestOf({ accessToken }: TestUser, path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: hearth.test\r\nAuthorization: Bearer ${accessToken}\r\n\r\n`
}

/** Opens a connection that sends a request and never reads the response. */
async function askAndWait(url: string, request: string): Promise<RawConnection> {
  const connection = await openConnection(url)
  connection.pause()
  connection.send(request)
  return connection
}

/** Attacks the first process until it closes connections for a reason, and asserts that its memory stays small. */
async function expectBounded(
  { processes: [process] }: HostileWorld,
  reason: string,
  attack: (url: string) => Promise<{ cut(): void }[]>,
  most = MOST_MEMORY_MIB,
): Promise<void> {
  const { pid, url, output } = process!
  const said = output().length
  forgetPeak(pid)
  const before = peakMemory(pid)
  const connections = await attack(url)
  try {
    await pollUntil('connections are closed', async () => output().slice(said).includes(reason))
    expect(peakMemory(pid) - before).toBeLessThan(most)
  } finally {
    for (const connection of connections) connection.cut()
  }
}

/** Clients that request large responses and do not read them. */
export const slowReaders: Attack[] = [
  {
    name: 'many connections of one user that do not read their first sync',
    async attempt(world) {
      const user = await userWithMuch(world.processes[0]!.url)
      const request = requestOf(user, `${v3}/sync?timeout=0`)
      await expectBounded(world, 'its owner has too many', (url) =>
        Promise.all(Array.from({ length: READERS }, () => askAndWait(url, request))),
      )
      expect((await user.get(`${v3}/sync?timeout=0`)).account_data.events.length).toBeGreaterThan(14)
    },
  },
  {
    name: 'many requests at once on a connection that does not read',
    async attempt(world) {
      const user = await userWithMuch(world.processes[0]!.url)
      const request = requestOf(user, `${v3}/sync?timeout=0`)
      await expectBounded(world, 'its owner has too many', async (url) => [
        await askAndWait(url, request.repeat(READERS)),
      ])
    },
  },
  {
    name: 'connections of many users that do not read',
    async attempt(world) {
      const some = await Promise.all([0, 1, 2].map((number) => userWithMuch(world.processes[0]!.url, number)))
      await expectBounded(world, 'limit exceeded', (url) =>
        Promise.all(some.flatMap((user) => [1, 2].map(() => askAndWait(url, requestOf(user, `${v3}/sync?timeout=0`))))),
      )
    },
  },
  {
    name: 'one connection that reads nothing',
    async attempt(world) {
      const user = await userWithMuch(world.processes[0]!.url)
      await expectBounded(world, 'read timeout', async (url) => [
        await askAndWait(url, requestOf(user, `${v3}/sync?timeout=0`)),
      ])
    },
  },
  {
    name: 'a large backup of keys that is not read, and one that is',
    async attempt(world) {
      const user = await registerUser(world.processes[0]!.url)
      const version = await backUpMuch(user)
      const path = `${v3}/room_keys/keys?version=${version}`
      await expectBounded(
        world,
        'read timeout',
        async (url) => [await askAndWait(url, requestOf(user, path))],
        MOST_OF_STREAM_MIB,
      )
      const { rooms } = await user.get(path)
      expect(Object.keys(rooms)).toHaveLength(BACKUP_ROOMS)
      expect(Object.keys(rooms['!room0:hearth.test'].sessions)).toHaveLength(KEYS_OF_ROOM)
    },
  },
  {
    name: 'sliding sync over WebSockets that do not read',
    async attempt(world) {
      const user = await userWithMuch(world.processes[0]!.url)
      await expectBounded(world, 'its owner has too many', (url) =>
        Promise.all(
          Array.from({ length: READERS }, async (_, place) => {
            const socket = await openSocket(url, user)
            const extensions = { account_data: { enabled: true } }
            const request = { conn_id: `slow${place}`, lists: {}, extensions }
            socket.pause()
            socket.send(JSON.stringify({ type: 'request', request }))
            return { cut: () => socket.terminate() }
          }),
        ),
      )
    },
  },
  {
    name: 'a reader that is slow but steady gets its answer',
    async attempt({ processes: [process] }) {
      const user = await userWithMuch(process!.url)
      const headers = { authorization: `Bearer ${user.accessToken}` }
      const response = await fetch(`${process!.url}${v3}/sync?timeout=0`, { headers })
      let read = 0
      let next = 0
      for await (const chunk of response.body!) {
        read += chunk.length
        if (read < next) continue
        next = read + MIB
        await new Promise((resolve) => setTimeout(resolve, 150))
      }
      expect(read).toBeGreaterThan(15 * MIB - 15 * 100)
    },
  },
]

function openSocket(url: string, { accessToken }: TestUser): Promise<WebSocket> {
  const path = '/_matrix/client/unstable/hearth.sliding_sync_websocket'
  const socket = new WebSocket(url.replace('http', 'ws') + path, {
    headers: { authorization: `Bearer ${accessToken}` },
  })
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket))
    socket.on('error', reject)
  })
}
