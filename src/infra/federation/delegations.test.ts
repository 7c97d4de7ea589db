import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createTestAuthority, type TestAuthority } from '../../../testing/test-authority.ts'
import { fixedClock } from '../clock.ts'
import { createNameLookUp } from '../http/name-look-up.ts'
import { createGuardedAgent, createTrust } from '../http/trusted-connections.ts'
import { createDelegationLookUp } from './delegations.ts'

let authority: TestAuthority
let server: ReturnType<typeof createServer>
let answer: (request: IncomingMessage, response: ServerResponse) => void
let asked = 0
const HOUR = 3_600_000

beforeAll(async () => {
  authority = createTestAuthority()
  const { certificate, key } = authority.issue('localhost')
  server = createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (request, response) => {
    asked++
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, resolve))
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
  authority.dispose()
})
const agents: ReturnType<typeof createGuardedAgent>[] = []
afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.destroy()))
})

function start(trustedCertificates = [authority.certificate], allowPrivateAddresses = true, timeoutMs = 30_000) {
  const rules = { trust: createTrust(trustedCertificates), lookUp: createNameLookUp(), allowPrivateAddresses }
  const dispatcher = createGuardedAgent(rules)
  agents.push(dispatcher)
  const clock = fixedClock(0)
  const { port } = server.address() as AddressInfo
  asked = 0
  return { clock, lookUp: createDelegationLookUp({ dispatcher, clock, port, timeoutMs }) }
}

const says =
  (name: string, headers = {}) =>
  (_: unknown, response: ServerResponse) =>
    response.writeHead(200, headers).end(JSON.stringify({ 'm.server': name }))

test('is kept for a day, or as its cache control says, for two days at most', async () => {
  for (const [headers, hours] of [
    [{}, 24],
    [{ 'cache-control': 'public, max-age=7200' }, 2],
    [{ 'cache-control': 'max-age=99999999' }, 48],
    [{ 'cache-control': `max-age=${'9'.repeat(1000)}` }, 48],
    [{ 'cache-control': 'max-age=-5, max-age=soon' }, 24],
    [{ date: 'never', expires: '0' }, 24],
    [{ date: new Date(0).toUTCString(), expires: new Date(5 * HOUR).toUTCString() }, 5],
  ] as const) {
    const { lookUp, clock } = start()
    answer = says('one.example', headers)
    expect(await Promise.all([lookUp('localhost'), lookUp('localhost')])).toEqual(['one.example', 'one.example'])
    answer = says('two.example:1', headers)
    clock.advance(hours * HOUR - 1)
    expect(await lookUp('localhost')).toBe('one.example')
    expect(asked).toBe(1)
    clock.advance(1)
    expect(await lookUp('localhost')).toBe('two.example:1')
  }
})

test('failures are kept for ever longer, and what was known before counts for two days', async () => {
  const { lookUp, clock } = start()
  answer = says('one.example')
  await lookUp('localhost')
  clock.advance(24 * HOUR)
  answer = (_, response) => response.writeHead(500).end()
  expect(await lookUp('localhost')).toBe('one.example')
  expect(asked).toBe(2)
  expect(await lookUp('localhost')).toBe('one.example')
  clock.advance(60_000)
  await lookUp('localhost')
  clock.advance(60_000)
  await lookUp('localhost')
  expect(asked).toBe(3)
  clock.advance(24 * HOUR)
  expect(await lookUp('localhost')).toBeUndefined()
})

test('redirects are followed, but not for ever and not away from HTTPS', async () => {
  const { lookUp } = start()
  answer = (request, response) =>
    request.url === '/there'
      ? says('one.example')(request, response)
      : response.writeHead(302, { location: '/there' }).end()
  expect(await lookUp('localhost')).toBe('one.example')
  answer = (_, response) => response.writeHead(302, { location: '/again' }).end()
  expect(await start().lookUp('localhost')).toBeUndefined()
  expect(asked).toBeLessThan(10)
  answer = (_, response) => response.writeHead(302, { location: 'http://localhost/' }).end()
  expect(await start().lookUp('localhost')).toBeUndefined()
})

test.each<[string, typeof answer]>([
  ['an endless one', (_, response) => void response.write(Buffer.alloc(100_000, ' '))],
  ['an empty one', (_, response) => void response.end()],
  ['null', (_, response) => void response.end('null')],
  ['a list', (_, response) => void response.end('["one.example"]')],
  ['a deep one', (_, response) => void response.end('['.repeat(40_000))],
  ['a name that is none', (_, response) => void response.end('{"m.server":"one.example/path?"}')],
  ['a name of a wrong type', (_, response) => void response.end('{"m.server":{"a":["one.example"]}}')],
  ['an endless name', (_, response) => void response.end(JSON.stringify({ 'm.server': 'x'.repeat(10_000) }))],
  ['a redirect to what is no address', (_, response) => void response.writeHead(302, { location: 'https://' }).end()],
  ['no JSON', (_, response) => void response.end('<html>')],
  ['no name', (_, response) => void response.end('{}')],
])('%s is none', async (_, bad) => {
  answer = bad
  expect(await start().lookUp('localhost')).toBeUndefined()
})

test.each<[string, typeof answer]>([
  ['a trickling one', (_, response) => trickle(response)],
  ['a silent one', () => {}],
  ['one that redirects and is silent', (_, response) => void response.writeHead(302, { location: '/' }).write('x')],
])('%s is none, in the end', async (_, bad) => {
  answer = bad
  expect(await start(undefined, undefined, 500).lookUp('localhost')).toBeUndefined()
})

test('only those whose certificate is trusted are heard, and no private addresses unless allowed', async () => {
  answer = says('one.example')
  expect(await start([]).lookUp('localhost')).toBeUndefined()
  expect(await start([authority.certificate], false).lookUp('localhost')).toBeUndefined()
  expect(asked).toBe(0)
})

/** Sends a byte now and then, without end. */
function trickle(response: ServerResponse): void {
  response.writeHead(200)
  const timer = setInterval(() => response.write(' '), 20)
  response.once('close', () => clearInterval(timer))
}
