import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fixedClock } from '../clock.ts'
import { createFederationConnections } from '../federation/federation-connections.ts'
import { createOutgoingHttp } from './outgoing-http.ts'

const MIB = 1024 * 1024
const bounds = { timeoutMs: 5000, signal: new AbortController().signal }
const ends: (() => unknown)[] = []
let server: Server
let port: number
let visits = 0

beforeAll(async () => {
  server = createServer((request, answer) => {
    visits++
    if (request.url === '/moved') answer.writeHead(307, { location: '/' }).end()
    else if (request.url === '/large') answer.end(Buffer.alloc(MIB, ' '))
    else if (request.url === '/bomb')
      answer.setHeader('content-encoding', 'gzip').end(gzipSync(Buffer.alloc(100 * MIB)))
    else answer.end('{"said":"hello"}')
  })
  await new Promise<void>((resolve) => server.listen(0, resolve))
  port = (server.address() as AddressInfo).port
})
afterAll(async () => {
  await Promise.all(ends.map((end) => end()))
  server.close()
})

function connect(allowPrivateAddresses: boolean) {
  const connections = createFederationConnections({ trustedCertificates: [], allowPrivateAddresses }, fixedClock(0))
  ends.push(() => connections.close())
  return createOutgoingHttp(connections.anywhere)
}

test.each([
  '127.0.0.1',
  'localhost',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '2130706433',
  '0x7f.1',
  '0177.1',
  '127.1',
])('a local server is not reached as %s', async (host) => {
  const seen = visits
  await expect(connect(false).postJson(`http://${host}:${port}/`, {}, bounds)).rejects.toThrow(/private|public/)
  expect(visits).toBe(seen)
})

test('a local server is reached where that is allowed', async () => {
  expect(await connect(true).postJson(`http://localhost:${port}/`, {}, bounds)).toEqual({
    status: 200,
    body: { said: 'hello' },
  })
})

test('redirects are not followed', async () => {
  expect(await connect(true).postJson(`http://localhost:${port}/moved`, {}, bounds)).toEqual({
    status: 307,
    body: undefined,
  })
})

test('large answers are refused, and nothing is unpacked', async () => {
  const http = connect(true)
  await expect(http.postJson(`http://localhost:${port}/large`, {}, bounds)).rejects.toThrow(/more than/)
  // 100 MiB are 100 KiB when compressed.
  await expect(http.postJson(`http://localhost:${port}/bomb`, {}, bounds)).rejects.toThrow(/more than/)
})

test('a request ends with the server', async () => {
  await expect(
    connect(true).postJson(`http://localhost:${port}/`, {}, { ...bounds, signal: AbortSignal.abort() }),
  ).rejects.toThrow(/abort/)
})
