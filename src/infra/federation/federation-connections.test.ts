import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { Agent, Dispatcher, request } from 'undici'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createTestAuthority, type TestAuthority } from '../../../testing/test-authority.ts'
import type { ServerName } from '../../core/ids.ts'
import { signingKeyFromSeed } from '../../core/signing/signing-key.ts'
import { fixedClock } from '../clock.ts'
import { createDelegationLookUp } from './delegations.ts'
import { createFederationClient } from './federation-client.ts'
import { createFederationConnections, type FederationConnections } from './federation-connections.ts'
import type { SrvAddress } from './srv-records.ts'

const NAME = 'matrix.example' as ServerName
const OWN = 'own.example' as ServerName

let authority: TestAuthority
let server: Server
let port: number
const heard: { host: string | undefined; sni: string | false | null | undefined; path: string | undefined }[] = []
let redirectTo = ''

beforeAll(async () => {
  authority = createTestAuthority()
  const { certificate, key } = authority.issue('localhost', 'matrix.example', 'public.example', '127.0.0.1')
  server = createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (asked, response) => {
    note(asked)
    if (asked.url?.includes('moved')) response.writeHead(302, { location: redirectTo }).end()
    else response.end('{"m.server":"delegated.example"}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
  authority.dispose()
})
const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  heard.length = 0
  await Promise.all(open.splice(0).map((each) => each.close()))
})

function note({ headers, url, socket }: IncomingMessage): void {
  heard.push({ host: headers.host, sni: (socket as TLSSocket).servername, path: url })
}

/** Connections for which DNS maps `matrix.example` to these addresses. */
function connect(addresses: SrvAddress[], allowPrivateAddresses = true): FederationConnections {
  const rules = { trustedCertificates: [authority.certificate], allowPrivateAddresses }
  const made = createFederationConnections(rules, fixedClock(0), {
    delegationOf: async () => undefined,
    srvAddresses: async (service) => (service === '_matrix-fed._tcp' ? addresses : undefined),
  })
  open.push(made)
  return made
}

function clientOf(connections: FederationConnections) {
  return createFederationClient({
    serverName: OWN,
    signingKeys: { current: signingKeyFromSeed('a', Buffer.alloc(32, 1)) },
    enabled: true,
    connections,
  })
}

const ask = (connections: FederationConnections, destination = NAME) =>
  clientOf(connections).request({ destination, method: 'GET', path: '/asked' })

/** The error is the same for all reasons. */
const unreachable = (reason: RegExp) => ({
  message: `${NAME} cannot be reached`,
  cause: { message: expect.stringMatching(reason) },
})

/** https://spec.matrix.org/v1.19/server-server-api/#resolving-server-names */
test('of several records the first that can be connected to is used, with host and certificate of the name', async () => {
  const closed = { host: '127.0.0.1', port: 1 }
  await ask(connect([closed, { host: '127.0.0.1', port }]))
  expect(heard).toEqual([{ host: NAME, sni: NAME, path: '/asked' }])
})

test('a certificate for where the records point is none for the name', async () => {
  const elsewhere = 'other.example' as ServerName
  await expect(ask(connect([{ host: '127.0.0.1', port }]), elsewhere)).rejects.toThrow(/reached/)
  expect(heard).toEqual([])
})

test('an IP address is its own certificate name, and no SNI is sent for it', async () => {
  await ask(connect([]), `127.0.0.1:${port}` as ServerName)
  expect(heard).toEqual([{ host: `127.0.0.1:${port}`, sni: false, path: '/asked' }])
})

test('records that say that there is no service are taken at their word', async () => {
  await expect(ask(connect([]))).rejects.toMatchObject(unreachable(/does not federate/))
})

test.each(['127.0.0.1', 'localhost', '::ffff:127.0.0.1'])('records that point to %s lead nowhere', async (host) => {
  await expect(ask(connect([{ host, port }], false))).rejects.toMatchObject(
    unreachable(/private address|no public address/),
  )
  expect(heard).toEqual([])
})

/** `public.example` is the local server; all other names are resolved normally. */
class OnePublicHost extends Dispatcher {
  readonly #others: Dispatcher
  readonly #local = new Agent({ connect: { ca: readFileSync(authority.certificate), servername: 'public.example' } })
  constructor(others: Dispatcher) {
    super()
    this.#others = others
    open.push({ close: () => this.#local.destroy() })
  }
  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (!String(options.origin).startsWith('https://public.example')) return this.#others.dispatch(options, handler)
    return this.#local.dispatch({ ...options, origin: `https://127.0.0.1:${port}` }, handler)
  }
}

test.each(['https://localhost', 'https://127.0.0.1', 'http://localhost'])(
  'redirects to %s are not followed',
  async (to) => {
    redirectTo = `${to}:${port}/private`
    const connections = connect([], false)
    const dispatcher = new OnePublicHost(connections.anywhere)
    const client = clientOf({ ...connections, anywhere: dispatcher as unknown as Agent })
    const bounds = { timeoutMs: 10_000, maxBytes: 1000 }
    await expect(client.download(NAME, 'https://public.example/moved', bounds)).rejects.toThrow()
    expect(heard.map(({ path }) => path)).toEqual(['/moved'])
    // Proves that the check above is effective.
    const { body } = await client.download(NAME, 'https://public.example/there', bounds)
    for await (const _ of body);
    expect(heard).toHaveLength(2)
  },
)

test('configured services may be on this machine, with a trusted certificate', async () => {
  const { anywhere, configured } = connect([], false)
  const url = `https://localhost:${port}/there`
  expect((await request(url, { dispatcher: configured })).statusCode).toBe(200)
  await expect(request(url, { dispatcher: anywhere })).rejects.toThrow('no public address')
  const untrusting = createFederationConnections(
    { trustedCertificates: [], allowPrivateAddresses: true },
    fixedClock(0),
  )
  open.push(untrusting)
  for (const dispatcher of [untrusting.configured, untrusting.anywhere])
    await expect(request(url, { dispatcher })).rejects.toThrow(/certificate/)
})

test('a .well-known that redirects to a private address delegates to nobody', async () => {
  redirectTo = `https://localhost:${port}/private`
  const connections = connect([], false)
  const moved = new Moved(new OnePublicHost(connections.anywhere))
  const lookUp = createDelegationLookUp({ dispatcher: moved, clock: fixedClock(0) })
  expect(await lookUp('public.example')).toBeUndefined()
  expect(heard.map(({ path }) => path)).toEqual(['/moved'])
})

/** Requests a path that redirects. */
class Moved extends Dispatcher {
  readonly #to: Dispatcher
  constructor(to: Dispatcher) {
    super()
    this.#to = to
  }
  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const path = options.path === '/.well-known/matrix/server' ? '/moved' : options.path
    return this.#to.dispatch({ ...options, path }, handler)
  }
}
