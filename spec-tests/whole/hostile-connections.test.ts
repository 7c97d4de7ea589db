import { Duplex } from 'node:stream'
import { connect as secure } from 'node:tls'
import { expect } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, type TestUser } from '../harness/client.ts'
import type { TestHearth } from '../harness/hearth.ts'
import { type Attack, describeAttacks, type HostileWorld } from '../harness/hostile-world.ts'
import { openConnection, type RawConnection } from '../harness/raw-connection.ts'
import { roomPath, v3 } from '../harness/rooms.ts'

const SOCKET_PATH = '/_matrix/client/unstable/hearth.sliding_sync_websocket'
const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
const CHUNKED = 'Transfer-Encoding: chunked'

/** Returns the first message of a TLS handshake. */
function clientHello(): Promise<Buffer> {
  return new Promise((resolve) => {
    const write = (chunk: Buffer, _: unknown, written: () => void) => {
      resolve(chunk)
      written()
    }
    secure({ socket: new Duplex({ read() {}, write }), servername: 'localhost' })
  })
}

/** Returns the head of a request. `fields`: further header lines. */
function head(start: string, fields: string[] = []): string {
  return [`${start} HTTP/1.1`, 'Host: hearth.test', ...fields, '', ''].join('\r\n')
}

function bearer({ alice }: HostileWorld): string {
  return `Authorization: Bearer ${alice.accessToken}`
}

/** A connection that is reset. */
type Reset = {
  name: string
  /** Default: the listener for clients. handshake: the one for other servers, before TLS. */
  listener?: 'client' | 'federation' | 'handshake'
  /** Data sent before the reset. */
  sent(world: HostileWorld): string | Promise<string | Buffer>
  /** The expected response before one of the two resets; absent: none. */
  answer?: string
}

/** Resets connections to each process: immediately, and when the data has arrived. */
function reset({ name, listener = 'client', sent, answer }: Reset): Attack {
  return {
    name: `reset ${name}`,
    async attempt(world) {
      for (const hearth of world.processes) {
        const text = await sent(world)
        for (const isLater of [false, true]) {
          const connection = await connectTo(world, hearth, listener)
          connection.send(text)
          if (isLater) await arrival(hearth, connection, answer)
          connection.cut()
        }
      }
    },
  }
}

function connectTo({ federation }: HostileWorld, hearth: TestHearth, listener: NonNullable<Reset['listener']>) {
  if (listener === 'client') return openConnection(hearth.url)
  if (listener === 'handshake') return openConnection(`http://localhost:${hearth.federationPort}`)
  return openConnection(`https://localhost:${hearth.federationPort}`, federation.authority.certificate)
}

async function arrival(hearth: TestHearth, connection: RawConnection, answer: string | undefined): Promise<void> {
  if (answer === undefined) expect((await fetch(`${hearth.url}${v3}/login`)).status).toBe(200)
  else await pollUntil(`the answer is ${answer}`, () => connection.received().includes(answer))
}

const RESETS: Attack[] = [
  { name: 'within a request line', sent: () => 'GET /_matrix/client/versions' },
  { name: 'within a head', sent: () => 'GET /_matrix/client/versions HTTP/1.1\r\nHost: hear' },
  { name: 'before the answer', sent: (world: HostileWorld) => head(`GET ${v3}/account/whoami`, [bearer(world)]) },
  {
    name: 'after the answer',
    sent: () => head('GET /_matrix/client/versions'),
    answer: 'unstable_features',
  },
  {
    name: 'a connection that is kept alive, within its second request',
    sent: () => `${head('GET /_matrix/client/versions')}GET ${v3}/lo`,
    answer: 'unstable_features',
  },
  {
    name: 'twenty requests in a row',
    sent: () => head('GET /_matrix/client/versions').repeat(20),
    answer: 'unstable_features',
  },
  {
    name: 'within a body',
    sent: (world: HostileWorld) =>
      `${head(`PUT ${roomPath(world.roomId, 'send/m.room.message/half')}`, [bearer(world), 'Content-Length: 50'])}{"ms`,
  },
  {
    name: 'within a chunk of a body',
    sent: (world: HostileWorld) => `${head(`POST ${v3}/createRoom`, [bearer(world), CHUNKED])}20\r\n{"na`,
  },
  {
    name: 'a request that waits to be told to go on',
    sent: (world: HostileWorld) =>
      head(`POST ${v3}/createRoom`, [bearer(world), 'Content-Length: 2', 'Expect: 100-continue']),
    answer: '100 Continue',
  },
  {
    name: 'a body that is refused',
    sent: () => `${head(`POST ${v3}/createRoom`, ['Content-Length: 50'])}{"na`,
    answer: 'M_MISSING_TOKEN',
  },
  {
    name: 'an upgrade where there is none',
    sent: () => head('GET /_matrix/client/versions', [...UPGRADE, KEY]),
    answer: 'HTTP/1.1 ',
  },
  {
    name: 'an upgrade of a path that does not exist',
    sent: () => head('GET /nowhere', [...UPGRADE, KEY]),
    answer: 'M_UNRECOGNIZED',
  },
  {
    name: 'an upgrade to another protocol',
    sent: () => head('GET /_matrix/client/versions', ['Connection: Upgrade', 'Upgrade: h2c']),
    answer: 'HTTP/1.1 ',
  },
  {
    name: 'an upgrade without its key',
    sent: () => head(`GET ${SOCKET_PATH}`, UPGRADE),
    answer: '400 Bad Request',
  },
  {
    name: 'an upgrade by POST, within a body',
    sent: () => `${head(`POST ${SOCKET_PATH}`, [...UPGRADE, KEY, 'Content-Length: 50'])}{"na`,
  },
  {
    name: 'an upgrade',
    sent: () => head(`GET ${SOCKET_PATH}`, [...UPGRADE, KEY]),
    answer: '101 Switching Protocols',
  },
  {
    name: 'an upgrade with a token',
    sent: (world: HostileWorld) => head(`GET ${SOCKET_PATH}`, [...UPGRADE, KEY, bearer(world)]),
    answer: '101 Switching Protocols',
  },
  {
    name: 'an upgrade at the listener for other servers',
    listener: 'federation' as const,
    sent: () => head(`GET ${SOCKET_PATH}`, [...UPGRADE, KEY]),
    answer: 'M_UNRECOGNIZED',
  },
  {
    name: 'within an upload',
    sent: (world: HostileWorld) =>
      `${head('POST /_matrix/media/v3/upload', [bearer(world), 'Content-Length: 50', 'Content-Type: text/plain'])}half`,
  },
  {
    name: 'within an upload under a reserved name',
    sent: async (world: HostileWorld) => {
      const { content_uri } = await world.alice.post('/_matrix/media/v1/create')
      const path = `/_matrix/media/v3/upload/${content_uri.slice('mxc://'.length)}`
      return `${head(`PUT ${path}`, [bearer(world), CHUNKED])}5\r\nhalf`
    },
  },
  {
    name: 'within a download',
    sent: async (world: HostileWorld) =>
      head(`GET /_matrix/client/v1/media/download/${await largeFile(world)}`, [bearer(world)]),
    answer: 'Content-Length: ',
  },
  {
    name: 'within a download of a range',
    sent: async (world: HostileWorld) =>
      head(`GET /_matrix/client/v1/media/download/${await largeFile(world)}`, [bearer(world), 'Range: bytes=5-']),
    answer: '206 Partial Content',
  },
  {
    name: 'a sync that waits',
    sent: async (world: HostileWorld) => {
      const { next_batch } = await world.alice.get(`${v3}/sync?timeout=0`)
      return head(`GET ${v3}/sync?timeout=30000&since=${next_batch}`, [bearer(world)])
    },
  },
  {
    name: 'a sliding sync that waits',
    sent: (world: HostileWorld) => {
      const path = '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?timeout=30000&pos=1'
      return `${head(`POST ${path}`, [bearer(world), 'Content-Length: 2'])}{}`
    },
  },
  {
    name: 'a download that waits for its file',
    sent: async (world: HostileWorld) => {
      const { content_uri } = await (await registerUser(world.url)).post('/_matrix/media/v1/create')
      const path = `/_matrix/client/v1/media/download/${content_uri.slice('mxc://'.length)}`
      return head(`GET ${path}?timeout_ms=30000`, [bearer(world)])
    },
  },
  {
    name: 'within the form of a page',
    sent: () => `${head('POST /_matrix/client/v3/auth/m.login.dummy/fallback/web', ['Content-Length: 50'])}session=`,
  },
  { name: 'before a TLS handshake', listener: 'handshake' as const, sent: () => '' },
  {
    name: 'within a TLS handshake',
    listener: 'handshake' as const,
    sent: async () => (await clientHello()).subarray(0, 40),
  },
  { name: 'a TLS handshake after its first message', listener: 'handshake' as const, sent: clientHello },
  { name: 'plain HTTP where TLS is spoken', listener: 'handshake' as const, sent: () => head('GET /') },
  {
    name: 'within a request of another server',
    listener: 'federation' as const,
    sent: () => 'GET /_matrix/federation/v1/version HTTP/1.1\r\nHost: he',
  },
  {
    name: 'within a transaction of another server',
    listener: 'federation' as const,
    sent: () => `${head('PUT /_matrix/federation/v1/send/1', ['Content-Length: 50', 'Authorization: X-Matrix'])}{"pd`,
  },
  {
    name: 'after an answer to another server',
    listener: 'federation' as const,
    sent: () => head('GET /_matrix/key/v2/server'),
    answer: 'verify_keys',
  },
].map(reset)

const ARRIVAL = '/_matrix/client/unstable/hearth/arrival'
const PROXY = '127.0.0.1'
/** The reverse proxy appends this address, which is the client's. */
const CLIENT = '198.51.100.7'
const CLAIMED = '192.0.2.1'

/** X-Forwarded-For by its lines, and the address that the homeserver must derive from them. */
const FORGERIES: Attack[] = [
  { name: 'one address', lines: [`${CLAIMED}, ${CLIENT}`], address: CLIENT },
  { name: 'in a line of its own', lines: [CLAIMED, CLIENT], address: CLIENT },
  { name: 'a thousand addresses', lines: [`${`${CLAIMED},`.repeat(1000)}${CLIENT}`], address: CLIENT },
  { name: 'loopback', lines: [`127.0.0.1, ::1, ${CLIENT}`], address: CLIENT },
  { name: 'the id of a user, with no proxy in front', lines: ['@alice:hearth.test'], address: PROXY },
  { name: 'a name, with no proxy in front', lines: ['localhost'], address: PROXY },
  { name: 'markup, with no proxy in front', lines: ['<script>alert(1)</script>'], address: PROXY },
  { name: 'commas only, with no proxy in front', lines: [',,,'], address: PROXY },
].map(({ name, lines, address }) => ({
  name: `X-Forwarded-For claims ${name}`,
  async attempt({ processes }: HostileWorld) {
    for (const { url } of processes) {
      const connection = await openConnection(url)
      const fields = lines.map((line) => `X-Forwarded-For: ${line}`)
      connection.send(head(`GET ${ARRIVAL}`, ['Connection: close', ...fields]))
      await pollUntil('it is answered', () => connection.isClosed())
      expect(connection.received()).toContain(`"address":"${address}"`)
    }
  },
}))

const VERSIONS = '/_matrix/client/versions'
const POST = `POST ${v3}/login HTTP/1.1\r\nHost: x\r\n`
const GET = `GET ${VERSIONS} HTTP/1.1\r\nHost: x\r\n`
/** A request that must never be treated as a separate one. */
const HIDDEN = `GET ${ARRIVAL} HTTP/1.1\r\nHost: x\r\n\r\n`

/** Malformed requests, or ones that a proxy may parse differently, with the status of their one response; 0: none. */
const MALFORMED: [name: string, text: string, status: number][] = [
  ['a length and chunks', `${POST}Content-Length: ${HIDDEN.length}\r\n${CHUNKED}\r\n\r\n0\r\n\r\n${HIDDEN}`, 400],
  ['chunks and a length', `${POST}${CHUNKED}\r\nContent-Length: 3\r\n\r\n0\r\n\r\n${HIDDEN}`, 400],
  ['two encodings', `${POST}${CHUNKED}\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${HIDDEN}`, 400],
  ['a list of encodings', `${POST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${HIDDEN}`, 400],
  ['an unknown encoding', `${POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${HIDDEN}`, 400],
  ['a blank before the colon of an encoding', `${POST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${HIDDEN}`, 400],
  ['an encoding in a folded line', `${POST}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${HIDDEN}`, 400],
  ['a control character before an encoding', `${POST}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n${HIDDEN}`, 400],
  ['two lengths', `${POST}Content-Length: 0\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`, 400],
  ['a list of lengths', `${POST}Content-Length: 0, ${HIDDEN.length}\r\n\r\n${HIDDEN}`, 400],
  ['a length with a sign', `${POST}Content-Length: +2\r\n\r\n{}${HIDDEN}`, 400],
  ['a length in hexadecimal', `${POST}Content-Length: 0x2\r\n\r\n{}${HIDDEN}`, 400],
  ['a length beyond all numbers', `${POST}Content-Length: ${'9'.repeat(30)}\r\n\r\n${HIDDEN}`, 400],
  ['a negative chunk', `${POST}${CHUNKED}\r\n\r\n-1\r\n${HIDDEN}`, 400],
  ['a chunk beyond all numbers', `${POST}${CHUNKED}\r\n\r\n${'f'.repeat(20)}\r\n${HIDDEN}`, 400],
  ['a chunk whose line ends with a line feed', `${POST}${CHUNKED}\r\n\r\n2\n{}\r\n0\r\n\r\n${HIDDEN}`, 400],
  [
    'a chunk with a long extension',
    `${POST}${CHUNKED}\r\n\r\n2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n${HIDDEN}`,
    413,
  ],
  ['a body of a request that has none', `${GET}Content-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`, 200],
  ['lines that end with a line feed', `GET ${VERSIONS} HTTP/1.1\nHost: x\n\n`, 400],
  ['lines that end with a carriage return', `GET ${VERSIONS} HTTP/1.1\rHost: x\r\r`, 400],
  ['a field with NUL', `${GET}X-Field: a\0b\r\n\r\n`, 400],
  ['a path with NUL', `GET ${VERSIONS}\0 HTTP/1.1\r\nHost: x\r\n\r\n`, 400],
  ['a field without a colon', `${GET}X-Field\r\n\r\n`, 400],
  ['a field without a name', `${GET}: value\r\n\r\n`, 400],
  ['no host', `GET ${VERSIONS} HTTP/1.1\r\n\r\n`, 400],
  ['a protocol of another time', `GET ${VERSIONS} HTTP/9.9\r\nHost: x\r\n\r\n`, 400],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
  ['a tunnel', 'CONNECT elsewhere.test:443 HTTP/1.1\r\nHost: elsewhere.test:443\r\n\r\n', 0],
  ['a trace, which would repeat the token', `TRACE ${VERSIONS} HTTP/1.1\r\nHost: x\r\nX-Token: t\r\n\r\n`, 405],
  ['an unknown method', `STEAL ${VERSIONS} HTTP/1.1\r\nHost: x\r\n\r\n`, 400],
  ['an expectation that nobody meets', `${GET}Expect: a-miracle\r\n\r\n`, 417],
  ['half a percent sign in the path', `GET ${v3}/profile/%zz HTTP/1.1\r\nHost: x\r\n\r\n`, 400],
  ['bytes in the path that are no text', `GET ${v3}/profile/%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n`, 400],
  ['a path that climbs', 'GET /_matrix/media/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n', 404],
  ['a path that climbs in disguise', 'GET /_matrix/client/..%2f..%2fetc HTTP/1.1\r\nHost: x\r\n\r\n', 404],
  [
    'parameters named like members of every object',
    `GET ${VERSIONS}?__proto__=1&constructor=2&__proto__[a]=b HTTP/1.1\r\nHost: x\r\n\r\n`,
    200,
  ],
  ['three thousand parameters', `GET ${VERSIONS}?${'a=1&'.repeat(3000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 200],
  ['three thousand ranges', `${GET}Range: bytes=${'0-1,'.repeat(3000)}0-1\r\n\r\n`, 200],
  ['a token with NUL', `GET ${v3}/account/whoami?access_token=%00 HTTP/1.1\r\nHost: x\r\n\r\n`, 401],
  [
    'a long token',
    `GET ${v3}/account/whoami HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${'x'.repeat(10_000)}\r\n\r\n`,
    401,
  ],
  ['a long field', `${GET}X-Field: ${'x'.repeat(100_000)}\r\n\r\n`, 431],
  [
    'an upgrade to HTTP/2',
    `${GET}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\r\n`,
    200,
  ],
  ['an upgrade with a request behind it', `${head(`GET ${SOCKET_PATH}`, UPGRADE)}${HIDDEN}`, 400],
  [
    'an upgrade of a version to come',
    `${head(`GET ${SOCKET_PATH}`, ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 99', KEY])}`,
    400,
  ],
  ['an upgrade with a key that is none', head(`GET ${SOCKET_PATH}`, [...UPGRADE, 'Sec-WebSocket-Key: short']), 400],
  [
    'an upgrade with unknown extensions',
    head(`GET ${SOCKET_PATH}`, [
      ...UPGRADE,
      KEY,
      'Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99',
    ]),
    101,
  ],
]

const malformed: Attack[] = MALFORMED.map(([name, text, status]) => ({
  name,
  async attempt({ processes: [first] }) {
    const connection = await openConnection(first!.url)
    connection.send(text)
    const hasAnswered = () => connection.isClosed() || connection.received().includes('\r\n\r\n')
    await pollUntil('it is answered or closed', hasAnswered)
    const statuses = [...connection.received().matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, each]) => Number(each))
    connection.cut()
    expect(statuses).toEqual(status === 0 ? [] : [status])
    expect(connection.received()).not.toContain('"address"')
  },
}))

const IDLE = 300

const CROWDS: Attack[] = [
  {
    name: `${IDLE} connections that say nothing, and as many that begin no TLS`,
    async attempt({ processes: [first], url }) {
      const places = [first!.url, `http://localhost:${first!.federationPort}`]
      const all = await Promise.all(
        places.flatMap((place) => Array.from({ length: IDLE }, () => openConnection(place))),
      )
      expect((await fetch(`${url}${VERSIONS}`)).status).toBe(200)
      await pollUntil('all are closed', () => all.every((connection) => connection.isClosed()))
    },
  },
  {
    name: 'two thousand requests in a row, of which no answer is read',
    async attempt({ processes: [first] }) {
      const connection = await openConnection(first!.url)
      connection.pause()
      connection.send(head(`GET ${VERSIONS}`).repeat(2000))
      expect((await fetch(`${first!.url}${VERSIONS}`)).status).toBe(200)
      connection.cut()
    },
  },
  {
    name: 'a download of which nothing is read, which holds its file open',
    async attempt(world) {
      const [first] = world.processes
      const path = `/_matrix/client/v1/media/download/${await largeFile(world)}`
      const connection = await openConnection(first!.url)
      connection.pause()
      connection.send(head(`GET ${path}`, [bearer(world)]))
      const reason = 'response not read: read timeout'
      await pollUntil('it is closed', () => first!.output().includes(reason))
      connection.cut()
    },
  },
]

/** Concurrent uploads of one user that `describeAttacks` allows per process. */
const MOST_UPLOADS = 5
const UPLOAD = 'POST /_matrix/media/v3/upload'

async function uploadNow({ url }: HostileWorld, user: TestUser): Promise<void> {
  const headers = { Authorization: `Bearer ${user.accessToken}` }
  const answer = await fetch(`${url}/_matrix/media/v3/upload`, { method: 'POST', headers, body: 'quick' })
  expect(answer.status).toBe(200)
}

const UPLOADS: Attack[] = [
  {
    name: 'uploads that trickle, in every form',
    async attempt(world) {
      const { content_uri } = await world.alice.post('/_matrix/media/v1/create')
      const fields = [bearer(world), 'Content-Type: text/plain']
      const reserved = `PUT /_matrix/media/v3/upload/${content_uri.slice('mxc://'.length)}`
      const forms = [
        { text: head(UPLOAD, [...fields, 'Content-Length: 1000000']), piece: 'x' },
        { text: head(UPLOAD, [...fields, CHUNKED]), piece: '1\r\nx\r\n' },
        { text: head(reserved, [...fields, CHUNKED]), piece: '1;extension=1\r\nx\r\n' },
      ]
      const ends = forms.map(async ({ text, piece }) => {
        const connection = await openConnection(world.processes[0]!.url)
        connection.send(text)
        const trickle = setInterval(() => connection.send(piece), 100)
        const answered = pollUntil('it is answered', () => connection.received().includes('\r\n\r\n'), 60_000)
        await answered.finally(() => clearInterval(trickle))
        expect(connection.received()).toContain('408 Request Timeout')
        connection.cut()
      })
      await Promise.all(ends)
    },
  },
  {
    name: 'two hundred uploads at once, of which none goes on',
    async attempt(world) {
      const { url } = world.processes[0]!
      const connections = await Promise.all(Array.from({ length: 200 }, () => openConnection(url)))
      for (const connection of connections) {
        connection.send(`${head(UPLOAD, [bearer(world), 'Content-Length: 100'])}half`)
      }
      const refused = () => connections.filter((connection) => connection.received().includes('M_LIMIT_EXCEEDED'))
      await pollUntil('most are refused', () => refused().length === connections.length - MOST_UPLOADS)
      await uploadNow(world, world.bob)
      for (const connection of connections) connection.cut()
      await pollUntil('their places are free', () => uploadNow(world, world.alice).then(() => true))
    },
  },
]

/** Uploads more than fits into the socket buffers, and returns its server and media ID. */
async function largeFile({ url, alice }: HostileWorld): Promise<string> {
  const uploaded = await fetch(`${url}/_matrix/media/v3/upload`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${alice.accessToken}`, 'Content-Type': 'text/plain' },
    body: 'x'.repeat(16 * 1024 * 1024),
  })
  return ((await uploaded.json()) as { content_uri: string }).content_uri.slice('mxc://'.length)
}

describeAttacks('connections', [...RESETS, ...FORGERIES, ...malformed, ...CROWDS, ...UPLOADS], {
  limits: { request_timeout: '5s', answer_timeout: '3s' },
  media: { max_concurrent_uploads: MOST_UPLOADS },
})
