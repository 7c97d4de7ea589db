import { Duplex } from 'node:stream'
import { connect as secure } from 'node:tls'
import { expect } from 'vitest'
import { registerUser, type TestUser } from '../harness/client.ts'
import type { TestHearth } from '../harness/hearth.ts'
import { type Attack, describeAttacks, type HostileWorld } from '../harness/hostile-world.ts'
import { pollUntil } from '../harness/poll-until.ts'
import { openConnection, type RawConnection } from '../harness/raw-connection.ts'
import { roomPath, v3 } from '../harness/rooms.ts'

const SOCKET_PATH = '/_matrix/client/unstable/hearth.sliding_sync_websocket'
const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
const CHUNKED = 'Transfer-Encoding: chunked'

/** The first message of a TLS handshake. */
function clientHello(): Promise<Buffer> {
  return new Promise((resolve) => {
    const write = (chunk: Buffer, _: unknown, written: () => void) => {
      resolve(chunk)
      written()
    }
    secure({ socket: new Duplex({ read() {}, write }), servername: 'localhost' })
  })
}

/** The head of a request. `fields`: further header lines. */
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
  /** What is sent before the reset. */
  sent(world: HostileWorld): string | Promise<string | Buffer>
  /** What the homeserver answers before one of the two resets comes; absent: nothing has to have come. */
  answer?: string
}

/** Resets connections to each process: at once, and when what was sent has arrived. */
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

/** X-Forwarded-For as it arrives: by its lines, and whom the homeserver must take for the client. */
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

/** How many uploads of one user `describeAttacks` lets run at the same time, of each process. */
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

/** Uploads more than fits into the buffers between two programs; returns its server and media id. */
async function largeFile({ url, alice }: HostileWorld): Promise<string> {
  const uploaded = await fetch(`${url}/_matrix/media/v3/upload`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${alice.accessToken}`, 'Content-Type': 'text/plain' },
    body: 'x'.repeat(16 * 1024 * 1024),
  })
  return ((await uploaded.json()) as { content_uri: string }).content_uri.slice('mxc://'.length)
}

describeAttacks('connections', [...RESETS, ...FORGERIES, ...UPLOADS], {
  limits: { request_timeout: '5s' },
  media: { max_concurrent_uploads: MOST_UPLOADS },
})
