import { expect } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, type TestUser } from '../harness/client.ts'
import { type Attack, describeAttacks, type HostileWorld } from '../harness/hostile-world.ts'
import { forgetPeak, peakMemory } from '../harness/process-memory.ts'
import type { RawConnection } from '../harness/raw-connection.ts'
import { v3 } from '../harness/rooms.ts'
import { frame, framesIn, message, OPCODE, openByHand } from '../harness/websocket-frames.ts'

const MIB = 1024 * 1024
const LIST = { range: [0, 9], timeline_limit: 5, required_state: { include: [] } }
const REQUEST = { type: 'request', request: { conn_id: 'attack', lists: { all: LIST } } }

/** Data sent after the upgrade, and the expected response. */
type Talk = {
  name: string
  /** Default: Alice's. 'none': the upgrade has no token. */
  token?: string | ((world: HostileWorld) => Promise<string>)
  sent(world: HostileWorld): Buffer[]
  /** The expected close code; absent: it closes without a code. */
  code: number | undefined
  /** The errcode of its last message; absent: any. */
  errcode?: string
}

function talk({ name, token, sent, code, errcode }: Talk): Attack {
  return {
    name,
    async attempt(world) {
      const own = typeof token === 'function' ? await token(world) : (token ?? world.alice.accessToken)
      const connection = await openByHand(world.processes[0]!.url, own === 'none' ? undefined : own)
      for (const bytes of sent(world)) connection.send(bytes)
      await closes(connection, code)
      if (errcode) expect(framesIn(connection.received()).texts.at(-1)).toContain(errcode)
      connection.cut()
    },
  }
}

async function closes(connection: RawConnection, code: number | undefined): Promise<void> {
  const closeCode = () => framesIn(connection.received()).closeCode
  await pollUntil('it closes', () => connection.isClosed() || closeCode() !== undefined)
  expect(closeCode()).toBe(code)
}

async function loggedOut({ processes: [first] }: HostileWorld): Promise<string> {
  const user = await registerUser(first!.url)
  await user.post(`${v3}/logout`)
  return user.accessToken
}

const TOKENS: Talk[] = [
  { name: 'an unknown token', token: 'unknown', sent: () => [], code: 4401, errcode: 'M_UNKNOWN_TOKEN' },
  { name: 'the token of a device that was logged out', token: loggedOut, sent: () => [], code: 4401 },
  {
    name: 'a request without a token',
    token: 'none',
    sent: () => [message(REQUEST)],
    code: 4401,
    errcode: 'M_MISSING_TOKEN',
  },
  {
    name: 'an acknowledgement without a token',
    token: 'none',
    sent: () => [message({ type: 'ack', pos: '1' })],
    code: 4401,
  },
  ...[
    { name: 'an unknown token in a message', access_token: 'unknown', code: 4401, errcode: 'M_UNKNOWN_TOKEN' },
    { name: 'a token with NUL', access_token: 'a\0b', code: 4401, errcode: 'M_UNKNOWN_TOKEN' },
    { name: 'a token with a lone surrogate', access_token: '\ud800', code: 4400, errcode: 'M_BAD_JSON' },
    { name: 'a token that is long', access_token: 'x'.repeat(100_000), code: 4400, errcode: 'M_BAD_JSON' },
    { name: 'a token that is empty', access_token: '', code: 4400, errcode: 'M_BAD_JSON' },
    { name: 'a token that is an object', access_token: { $ne: '' }, code: 4400, errcode: 'M_BAD_JSON' },
  ].map(({ name, access_token, code, errcode }) => ({
    name,
    token: 'none',
    sent: () => [message({ type: 'authenticate', access_token })],
    code,
    errcode,
  })),
]

const text = (content: string | Buffer) => () => [frame(OPCODE.text, content)]

const MESSAGES: Talk[] = [
  { name: 'a binary message', sent: () => [frame(OPCODE.binary, '{}')], code: 4400, errcode: 'M_NOT_JSON' },
  { name: 'a message that is no JSON', sent: text('hello'), code: 4400, errcode: 'M_NOT_JSON' },
  { name: 'a message without content', sent: text(''), code: 4400, errcode: 'M_NOT_JSON' },
  { name: 'null', sent: text('null'), code: 4400, errcode: 'M_BAD_JSON' },
  { name: 'a list', sent: text('[]'), code: 4400, errcode: 'M_BAD_JSON' },
  { name: 'a message of no type', sent: text('{}'), code: 4400, errcode: 'M_' },
  { name: 'a message of an unknown type', sent: text('{"type":"steal"}'), code: 4400, errcode: 'M_' },
  { name: 'a type that is a member of every object', sent: text('{"type":"__proto__"}'), code: 4400, errcode: 'M_' },
  { name: 'a request that is null', sent: text('{"type":"request","request":null}'), code: 4400, errcode: 'M_' },
  {
    name: 'JSON that nests a hundred thousand times',
    sent: text('['.repeat(100_000)),
    code: 4400,
    errcode: 'M_BAD_JSON',
  },
  {
    name: 'JSON of half a million values',
    sent: text(`[${'0,'.repeat(510_000)}0]`),
    code: 4400,
    errcode: 'M_TOO_LARGE',
  },
  {
    name: 'more lists than there may be',
    sent: () => [
      message({
        type: 'request',
        request: { lists: Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`list${i}`, LIST])) },
      }),
    ],
    code: 4400,
    errcode: 'M_',
  },
  {
    name: 'an acknowledgement of nothing',
    sent: () => [message({ type: 'ack', pos: '1' })],
    code: 4400,
    errcode: 'M_BAD_JSON',
  },
]

const close = (...bytes: number[]) => frame(OPCODE.close, Buffer.from(bytes))

const FRAMES: Talk[] = [
  { name: 'a frame that is not masked', sent: () => [frame(OPCODE.text, '{}', { isMasked: false })], code: 1002 },
  { name: 'a frame of a reserved kind', sent: () => [frame(OPCODE.reserved, '{}')], code: 1002 },
  { name: 'a frame with reserved bits', sent: () => [frame(OPCODE.text, '{}', { reservedBits: 4 })], code: 1002 },
  { name: 'a ping that is too long', sent: () => [frame(OPCODE.ping, 'x'.repeat(200))], code: 1002 },
  { name: 'a ping in pieces', sent: () => [frame(OPCODE.ping, 'x', { isFinal: false })], code: 1002 },
  { name: 'a piece that continues nothing', sent: () => [frame(OPCODE.continuation, '{}')], code: 1002 },
  {
    name: 'a message within the pieces of another',
    sent: () => [frame(OPCODE.text, '{', { isFinal: false }), frame(OPCODE.text, '}')],
    code: 1002,
  },
  { name: 'text that is not UTF-8', sent: () => [frame(OPCODE.text, Buffer.from([0xff, 0xfe, 0x80]))], code: 1007 },
  { name: 'a message of more than a mebibyte', sent: () => [frame(OPCODE.text, 'x'.repeat(MIB + 1))], code: 1009 },
  { name: 'a frame that claims a tebibyte', sent: () => [frame(OPCODE.text, '{', { length: 2 ** 40 })], code: 1009 },
  {
    name: 'a frame that claims more than there is',
    sent: () => [frame(OPCODE.text, '{', { length: 2 ** 60 })],
    code: 1009,
  },
  {
    name: 'pieces of more than a mebibyte together',
    sent: () => [
      frame(OPCODE.text, 'x'.repeat(MIB - 1), { isFinal: false }),
      frame(OPCODE.continuation, 'x'.repeat(MIB - 1)),
    ],
    code: 1009,
  },
  {
    name: 'twenty thousand empty pieces',
    sent: () => [
      frame(OPCODE.text, '', { isFinal: false }),
      Buffer.concat(Array<Buffer>(20_000).fill(frame(OPCODE.continuation, '', { isFinal: false }))),
    ],
    code: 1008,
  },
  { name: 'a close with half a code', sent: () => [close(3)], code: 1002 },
  { name: 'a close with a code that is none', sent: () => [close(0, 1)], code: 1002 },
  { name: 'a close with a reason that is no text', sent: () => [close(3, 0xe8, 0xff)], code: 1007 },
  { name: 'HTTP where frames are spoken', sent: () => [Buffer.from(`GET / HTTP/1.1\r\n\r\n`)], code: 1002 },
]

/** Resets sockets of each process after sending data. */
const RESETS: Attack[] = [
  { name: 'within the head of a frame', frames: [Buffer.from([0x81])] },
  { name: 'within a frame', frames: [frame(OPCODE.text, '{"type":', { length: 100 })] },
  { name: 'between the pieces of a message', frames: [frame(OPCODE.text, '{"type":', { isFinal: false })] },
  { name: 'a request that is being answered', frames: [message(REQUEST)] },
  { name: 'a hundred requests at once', frames: Array<Buffer>(100).fill(message(REQUEST)) },
  { name: 'a close that is being answered', frames: [close(3, 0xe8)] },
].map(({ name, frames }) => ({
  name: `reset ${name}`,
  async attempt({ processes, alice }: HostileWorld) {
    for (const { url } of processes) {
      for (const isLater of [false, true]) {
        const connection = await openByHand(url, alice.accessToken)
        if (isLater) await pollUntil('it is upgraded', () => connection.received().includes('101 Switching'))
        for (const bytes of frames) connection.send(bytes)
        if (isLater) await alice.get(`${v3}/account/whoami`)
        connection.cut()
      }
    }
  },
}))

/** The burst of requests and of WebSocket messages per user in these tests. */
const MOST_REQUESTS = 100
const MOST_SOCKETS = 10

/** Sends much data on a socket that reads nothing; the process must stay small. Returns the connection. */
async function flood({ processes: [first], alice }: HostileWorld, bytes: Buffer): Promise<RawConnection> {
  const { pid, url } = first!
  forgetPeak(pid)
  const before = peakMemory(pid)
  const connection = await openByHand(url, alice.accessToken)
  await pollUntil('it is upgraded', () => connection.received().includes('101 Switching'))
  connection.pause()
  connection.send(bytes)
  await alice.get(`${v3}/account/whoami`)
  expect(peakMemory(pid) - before).toBeLessThan(100)
  return connection
}

const FLOODS: Attack[] = [
  ...[
    { name: 'pings', bytes: frame(OPCODE.ping, 'x'.repeat(125)) },
    { name: 'pongs', bytes: frame(OPCODE.pong, 'x'.repeat(125)) },
  ].map(({ name, bytes }) => ({
    name: `fifty thousand ${name}, of which no answer is read`,
    async attempt(world: HostileWorld) {
      const connection = await flood(world, Buffer.concat(Array<Buffer>(50_000).fill(bytes)))
      connection.cut()
    },
  })),
  {
    name: 'large messages faster than they are read',
    async attempt(world) {
      const large = message({ ...REQUEST, padding: 'x'.repeat(MIB - 1000) })
      const connection = await flood(world, Buffer.concat(Array<Buffer>(60).fill(large)))
      connection.cut()
    },
  },
  ...[
    { name: 'requests', sent: () => message(REQUEST) },
    {
      name: 'tokens',
      sent: ({ accessToken }: TestUser) => message({ type: 'authenticate', access_token: accessToken }),
    },
  ].map(({ name, sent }) => ({
    name: `a thousand ${name} in a row, of which most are refused and none closes the socket`,
    async attempt({ processes }: HostileWorld) {
      const { url } = processes[0]!
      const user = await registerUser(url)
      const connection = await openByHand(url, user.accessToken)
      connection.send(Buffer.concat(Array<Buffer>(1000).fill(sent(user))))
      const refused = () =>
        framesIn(connection.received()).texts.filter(
          (each) => each.includes('M_LIMIT_EXCEEDED') && each.includes('retry_after_ms'),
        )
      await pollUntil('many are refused', () => refused().length > 1000 - 3 * MOST_REQUESTS)
      expect(framesIn(connection.received()).closeCode).toBeUndefined()
      connection.cut()
    },
  })),
  {
    name: 'more sockets of a user than there may be',
    async attempt({ processes: [first] }) {
      const { url } = first!
      const user = await registerUser(url)
      const open = () => openByHand(url, user.accessToken)
      const connections = await Promise.all(Array.from({ length: MOST_SOCKETS + 5 }, open))
      const refused = () => connections.filter((each) => framesIn(each.received()).closeCode === 4429)
      await pollUntil('five are refused', () => refused().length === 5)
      for (const connection of connections) connection.cut()
      await pollUntil('there is room again', async () => {
        const next = await open()
        next.send(message(REQUEST))
        await pollUntil('it is answered', () => framesIn(next.received()).texts.length > 0)
        next.cut()
        return framesIn(next.received()).texts[0]!.includes('"response"')
      })
    },
  },
]

const ADDRESS: Attack = {
  name: 'X-Forwarded-For claims an address',
  async attempt({ processes: [first] }) {
    const user = await registerUser(first!.url)
    const connection = await openByHand(first!.url, user.accessToken, ['X-Forwarded-For: 192.0.2.1, 198.51.100.7'])
    connection.send(message(REQUEST))
    await pollUntil('it is answered', () => framesIn(connection.received()).texts.length > 0)
    const seen = await pollUntil(
      'the device has been seen',
      async () => (await user.get(`${v3}/devices/${user.deviceId}`)).last_seen_ip,
    )
    expect(seen).toBe('198.51.100.7')
    connection.cut()
  },
}

const NO_LIMIT = { per_second: 10_000, burst: 10_000 }

describeAttacks('WebSockets', [...[...TOKENS, ...MESSAGES, ...FRAMES].map(talk), ...RESETS, ...FLOODS, ADDRESS], {
  rate_limits: {
    enabled: true,
    default: { per_second: MOST_REQUESTS, burst: MOST_REQUESTS },
    message: NO_LIMIT,
    login: NO_LIMIT,
    registration: NO_LIMIT,
    join: NO_LIMIT,
    room_creation: NO_LIMIT,
  },
  limits: { counts: { websockets: MOST_SOCKETS } },
})
