import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { Agent, type Dispatcher } from 'undici'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createPageAgent, createPageFetch } from './page-fetch.ts'
import { createTrust } from './trusted-connections.ts'

const LIMIT = 100_000
const RECEIVED = 1_000_000
const SITE = 'public.test'

/** The target of attacks: a service of this machine. */
let connections = 0
const target = createTcpServer((socket) => {
  connections++
  socket.destroy()
})
let site: Server
let requests = 0
let dispatcher: Dispatcher
const guarded = createPageAgent({ trust: createTrust([]), allowPrivateAddresses: false, maxReceived: RECEIVED })
/** Leads to the site, as if that were at a public address. */
let open: Agent

const pages: Record<string, RequestListener> = {}

beforeAll(async () => {
  site = createServer((request, response) => {
    requests++
    const { pathname, searchParams } = new URL(request.url!, `http://${SITE}`)
    const to = searchParams.get('to')
    if (to !== null) response.writeHead(302, { location: to.replace(/[^!-~]+/g, encodeURIComponent) }).end()
    else if (pages[pathname]) pages[pathname](request, response)
    else response.end('page')
  })
  await Promise.all([
    new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve)),
    new Promise<void>((resolve) => target.listen(0, '::', resolve)),
  ])
  const { port } = site.address() as AddressInfo
  open = new Agent({
    pipelining: 0,
    connect: { lookup: (_name, _options, found) => found(null, [{ address: '127.0.0.1', family: 4 }]) },
  })
  dispatcher = {
    dispatch(options, handler) {
      const isSite = String(options.origin).startsWith(`http://${SITE}`)
      return isSite
        ? open.dispatch({ ...options, origin: `http://${SITE}:${port}` }, handler)
        : guarded.dispatch(options, handler)
    },
  } as Dispatcher
})
afterAll(async () => {
  site.closeAllConnections()
  await Promise.all([open.destroy(), guarded.destroy()])
  site.close()
  target.close()
})

function fetchPage(url: string, more: { timeout?: number; isAllowed?: (url: URL) => boolean } = {}) {
  return createPageFetch(dispatcher)(new URL(url), {
    accept: '*/*',
    acceptLanguage: 'de',
    maxBytes: (type) => (type === 'text/short' ? 10 : LIMIT),
    isAllowed: more.isAllowed ?? (({ protocol }) => /^https?:$/.test(protocol)),
    signal: AbortSignal.timeout(more.timeout ?? 5000),
  })
}
const at = (path: string) => `http://${SITE}${path}`
const port = () => (target.address() as AddressInfo).port

/** Addresses of this machine and of private networks. */
const HOSTS = [
  ...['127.0.0.1', '127.1', '2130706433', '0x7f000001', '0x7f.1', '0177.0.0.1', '017700000001', '127.0.0.1.'],
  ...['localhost', 'LOCALHOST', '0.0.0.0', '0', '[::1]', '[::]', '[0:0:0:0:0:0:0:1]', '[::ffff:127.0.0.1]'],
  ...['[::ffff:7f00:1]', '[64:ff9b::7f00:1]', '[64:ff9b::127.0.0.1]', '[::127.0.0.1]', '[::ffff:0:7f00:1]'],
  ...[
    '[2002:7f00:1::]',
    '[fe80::1]',
    '[fc00::1]',
    '169.254.169.254',
    '10.0.0.1',
    '192.168.0.1',
    '１２７.０.０.１',
    '①②⑦.0.0.1',
  ],
]

test.each(HOSTS)('connects to %s neither directly nor after a redirect', async (host) => {
  const before = connections
  for (const scheme of ['http', 'https']) {
    const private_ = `${scheme}://${host}:${port()}/`
    await expect(fetchPage(private_)).rejects.toThrow(/private address|no public address|ENOTFOUND|EAI_AGAIN/)
    await expect(fetchPage(at(`/?to=${encodeURIComponent(private_)}`))).rejects.toThrow(
      /private address|no public address|ENOTFOUND|EAI_AGAIN/,
    )
  }
  expect(connections).toBe(before)
})

test.each(['file:///etc/passwd', 'ftp://public.test/', 'data:text/html,x', 'javascript:1', 'gopher://public.test/'])(
  'does not follow a redirect to %s',
  async (to) => {
    await expect(fetchPage(at(`/?to=${encodeURIComponent(to)}`))).rejects.toThrow('not allowed')
  },
)

test.each([1, 22, 25, 143, 465, 6000, 6667, 10080])(
  'connects to port %d neither directly nor after a redirect',
  async (port) => {
    const before = requests
    await expect(fetchPage(`http://${SITE}:${port}/`)).rejects.toThrow('not allowed')
    await expect(fetchPage(at(`/?to=${encodeURIComponent(`http://${SITE}:${port}/`)}`))).rejects.toThrow('not allowed')
    expect(requests - before).toBe(1)
  },
)

test('a redirect of no form fails', async () => {
  await expect(fetchPage(at(`/?to=${encodeURIComponent('http://[')}`))).rejects.toThrow('Invalid URL')
})

test('redirects end after five', async () => {
  pages['/loop'] = (_, response) => void response.writeHead(302, { location: '/loop' }).end()
  const before = requests
  await expect(fetchPage(at('/loop'))).rejects.toThrow('redirects too often')
  expect(requests - before).toBe(6)
})

test('each redirect is checked against the lists', async () => {
  const isAllowed = ({ pathname }: URL) => pathname !== '/denied'
  await expect(fetchPage(at('/?to=/denied'), { isAllowed })).rejects.toThrow('not allowed')
})

test('a redirect that is followed gives its final URL', async () => {
  expect((await fetchPage(at('/?to=/end'))).url.href).toBe(at('/end'))
})

test.each([
  ['gzip', gzipSync],
  ['br', (body: Buffer) => brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } })],
] as const)(
  'a body in %s that grows is cut',
  async (encoding, compress) => {
    const bomb = compress(Buffer.alloc(100_000_000))
    pages['/bomb'] = (_, response) => void response.writeHead(200, { 'content-encoding': encoding }).end(bomb)
    const before = process.memoryUsage().arrayBuffers
    expect(await fetchPage(at('/bomb'))).toMatchObject({ isWhole: false, body: Buffer.alloc(LIMIT) })
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50_000_000)
  },
  30_000,
)

test.each(['gzip', 'deflate', 'br'])('a body that is no %s fails', async (encoding) => {
  pages['/broken'] = (_, response) => void response.writeHead(200, { 'content-encoding': encoding }).end('not it')
  await expect(fetchPage(at('/broken'))).rejects.toThrow()
})

test('the content type decides how much of the body is read', async () => {
  pages['/short'] = (_, response) => void response.writeHead(200, { 'content-type': 'text/short' }).end('x'.repeat(50))
  expect(await fetchPage(at('/short'))).toMatchObject({ isWhole: false, body: Buffer.from('x'.repeat(10)) })
})

test('an unknown encoding fails', async () => {
  pages['/unknown'] = (_, response) => void response.writeHead(200, { 'content-encoding': 'gzip, gzip' }).end('x')
  await expect(fetchPage(at('/unknown'))).rejects.toThrow('unknown encoding')
})

test.each([200, 302, 404])('an endless body with status %d is not read on', async (status) => {
  let closed = false
  pages['/endless'] = (_, response) => {
    response.writeHead(status, { location: '/end' })
    const write = () => {
      while (!closed && response.write(Buffer.alloc(16_384, 'x')));
    }
    response.on('drain', write).on('close', () => {
      closed = true
    })
    write()
  }
  await fetchPage(at('/endless')).catch(() => {})
  await expect.poll(() => closed).toBe(true)
})

test.each<[string, RequestListener]>([
  ['a page that never answers', () => {}],
  ['a body that stops', (_, response) => void response.writeHead(200, { 'content-length': 100 }).write('x')],
  [
    'a body that drips',
    (_, response) => {
      const drip = setInterval(() => response.write('x'), 20)
      response.on('close', () => clearInterval(drip))
    },
  ],
])('%s ends at the timeout', async (_, page) => {
  pages['/slow'] = page
  await expect(fetchPage(at('/slow'), { timeout: 300 })).rejects.toThrow(/timeout/i)
})

test.each<[string, RequestListener]>([
  [
    'a body that is cut',
    (_, response) => void response.writeHead(200, { 'content-length': 9 }).write('x', () => response.destroy()),
  ],
  ['no answer', (request) => void request.socket.destroy()],
  ['an answer that is not HTTP', (request) => void request.socket.end('SSH-2.0\r\n\r\n')],
  ['a redirect to nowhere', (_, response) => void response.writeHead(302).end()],
  ['an error', (_, response) => void response.writeHead(500).end()],
])('%s fails', async (_, page) => {
  pages['/bad'] = page
  await expect(fetchPage(at('/bad'))).rejects.toThrow()
})

test('headers without an end fail', async () => {
  const huge: Record<string, string> = {}
  for (let place = 0; place < 100; place++) huge[`x-${place}`] = 'x'.repeat(1000)
  pages['/headers'] = (_, response) => void response.writeHead(200, huge).end('x')
  const agent = createPageAgent({ trust: createTrust([]), allowPrivateAddresses: true, maxReceived: RECEIVED })
  const { port: own } = site.address() as AddressInfo
  const fetching = createPageFetch(agent)(new URL(`http://127.0.0.1:${own}/headers`), {
    ...{ accept: '*/*', acceptLanguage: undefined, maxBytes: () => LIMIT, isAllowed: () => true },
    signal: AbortSignal.timeout(5000),
  })
  await expect(fetching).rejects.toThrow(/header/i)
  await agent.destroy()
})
